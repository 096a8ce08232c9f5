"""Kafka → join, aggregate → ClickHouse and Kafka: the workers that give every accepted event its place."""
