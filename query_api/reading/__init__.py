"""Single things and lists of them: request logs, traces, feedback, and what became of a feedback."""
