"""The edge: an HTTP API that publishes to Kafka. A 200 means that Kafka has acknowledged every event of the call.

It uses no ClickHouse. Everything in `validation` is pure; `kafka` holds the connection to Kafka.
"""
