ALTER TABLE feedback.trace_journal RESET SETTING min_compress_block_size;
