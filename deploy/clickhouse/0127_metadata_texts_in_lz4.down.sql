ALTER TABLE feedback.request_log_rows MODIFY COLUMN IF EXISTS metadata_texts CODEC(ZSTD(1));

ALTER TABLE feedback.feedback_rows MODIFY COLUMN IF EXISTS metadata_texts CODEC(ZSTD(1));
