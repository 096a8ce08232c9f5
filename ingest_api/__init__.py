"""The edge: HTTP in, Kafka out. A 200 means that Kafka has acknowledged every event of the call.

Knows no ClickHouse. The body modules are pure decisions; `publisher` and `kafka_link` hold the engine.
"""
