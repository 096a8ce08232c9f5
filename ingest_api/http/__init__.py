"""The HTTP side of the edge: its publishing endpoint, its uvicorn protocol, telemetry and OpenAPI."""
