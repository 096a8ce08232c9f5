DROP TABLE IF EXISTS feedback.trace_journal;
