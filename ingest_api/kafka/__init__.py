"""The edge's use of Kafka: publishing events, and reading API keys."""
