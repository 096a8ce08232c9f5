DROP VIEW IF EXISTS feedback.trace_aggregates;
DROP TABLE IF EXISTS feedback.trace_aggregate_rows;
