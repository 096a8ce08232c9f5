DROP TABLE IF EXISTS feedback.trace_aggregate_rows;
