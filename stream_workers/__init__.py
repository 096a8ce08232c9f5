"""The workers: they read events from Kafka, join and aggregate them, and write to ClickHouse and Kafka."""
