"""Answers questions over HTTP: what became of a feedback, and what all feedback comes to.

Reads ClickHouse, and Kafka for what has been accepted and not stored yet; writes nothing
but what exports need: facts about them, a secret, and files. Its routes are added to an
app that has its own, so that it can share a port with the edge, of which it knows nothing.
"""
