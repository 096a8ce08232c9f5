-- One key of metadata is read 2.5 times as fast from LZ4 as from ZSTD, which took a third less room. It holds for what is
-- stored from now on, and for older rows once their parts are merged.
ALTER TABLE feedback.request_log_rows MODIFY COLUMN IF EXISTS metadata_texts CODEC(LZ4);

ALTER TABLE feedback.feedback_rows MODIFY COLUMN IF EXISTS metadata_texts CODEC(LZ4);
