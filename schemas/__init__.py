"""What flows through Feedback API and where it rests: events, ids, topics and tables.

Pure definitions that every program shares. This package imports none of the others.
"""
