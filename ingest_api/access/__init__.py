"""Who may publish, how much, and which call an idempotency key stands for."""
