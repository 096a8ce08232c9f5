"""API keys made, listed and revoked, in ClickHouse and in Kafka."""
