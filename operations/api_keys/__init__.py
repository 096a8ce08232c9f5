"""Makes, lists and revokes API keys, in ClickHouse and in Kafka."""
