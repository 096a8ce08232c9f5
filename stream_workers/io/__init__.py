"""Input and output of a worker: reading and writing ClickHouse and Kafka."""
