"""OpenTelemetry's protocol (OTLP): spans of model calls become request logs, and evaluations become feedback."""
