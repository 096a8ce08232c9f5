"""Access to the edge: who may publish, how much, and which call an idempotency key belongs to."""
