ALTER TABLE feedback.feedback_rows DROP INDEX IF EXISTS by_metadata_pair;

ALTER TABLE feedback.request_log_rows ADD INDEX IF NOT EXISTS by_metadata_text arrayMap(
    (key, text) -> concat(key, '\x1F', text), mapKeys(metadata_texts), mapValues(metadata_texts)
) TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE feedback.request_log_rows MATERIALIZE INDEX IF EXISTS by_metadata_text SETTINGS mutations_sync = 1;

ALTER TABLE feedback.request_log_rows DROP INDEX IF EXISTS by_metadata_pair;
