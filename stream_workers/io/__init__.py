"""ClickHouse and Kafka as a worker reads and writes them."""
