"""From events to acknowledged records, and the API keys that come back by Kafka."""
