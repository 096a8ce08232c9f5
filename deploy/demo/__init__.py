"""A made-up week of requests and feedback, to explore before an app sends its own.

`week` makes calls of the HTTP API out of a seed, `events` has the edge decide them at the time they carry, `command`
puts them into Kafka and takes them away again.
"""
