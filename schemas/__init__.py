"""The contract of Feedback API: events, outputs, ids, API keys and topics.

Pure definitions that all programs share. This package imports no other.
"""
