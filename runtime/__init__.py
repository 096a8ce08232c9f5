"""What every program needs to run, and several share: logs, metrics, settings, API keys, health, HTTP errors."""
