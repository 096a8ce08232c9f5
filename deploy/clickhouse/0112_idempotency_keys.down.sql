DROP TABLE IF EXISTS feedback.idempotency_keys;
