"""What the programs share to run: logs, metrics, settings, API keys, health, HTTP errors, and access to Kafka."""
