-- A look-up of random traces decompresses a block for nearly each of them: LZ4 does it in less time, for a quarter more disk.
ALTER TABLE feedback.trace_journal
    MODIFY COLUMN entry String COMMENT 'The feedback event as JSON, or what a request adds to its trace' CODEC(LZ4);
