-- A small part is one file instead of ten to fifteen: making and removing files was half of what ClickHouse spent on an
-- insert. Releases that do not know such parts leave the setting without effect, and cannot read them.
ALTER TABLE feedback.feedback_rows MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE feedback.feedback_hour_rows MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE feedback.trace_journal MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE feedback.trace_aggregate_rows MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE feedback.request_log_rows MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE feedback.idempotency_claims MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE feedback.dead_letters MODIFY SETTING min_bytes_for_full_part_storage = 10485760;

ALTER TABLE feedback.rollup_rows MODIFY SETTING min_bytes_for_full_part_storage = 10485760;
