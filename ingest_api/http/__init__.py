"""HTTP as the edge speaks it: its publishing endpoint, what it adds to uvicorn, telemetry and OpenAPI."""
