ALTER TABLE feedback.rollup_rows RESET SETTING min_bytes_for_full_part_storage;

ALTER TABLE feedback.dead_letters RESET SETTING min_bytes_for_full_part_storage;

ALTER TABLE feedback.idempotency_claims RESET SETTING min_bytes_for_full_part_storage;

ALTER TABLE feedback.request_log_rows RESET SETTING min_bytes_for_full_part_storage;

ALTER TABLE feedback.trace_aggregate_rows RESET SETTING min_bytes_for_full_part_storage;

ALTER TABLE feedback.trace_journal RESET SETTING min_bytes_for_full_part_storage;

ALTER TABLE feedback.feedback_hour_rows RESET SETTING min_bytes_for_full_part_storage;

ALTER TABLE feedback.feedback_rows RESET SETTING min_bytes_for_full_part_storage;
