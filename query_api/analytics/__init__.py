"""Numbers of many requests and feedbacks: over time, by group, and compared."""
