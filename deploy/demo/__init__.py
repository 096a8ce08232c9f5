"""A believable week of an app's requests and of feedback on them, to look at before one's own arrives.

`week` makes calls of the HTTP API out of a seed, `events` has the edge decide them at the time they carry, `command`
puts them into Kafka and takes them away again.
"""
