ALTER TABLE feedback.trace_journal
    MODIFY COLUMN entry String COMMENT 'The feedback event as JSON, or what a request adds to its trace' CODEC(ZSTD(1));
