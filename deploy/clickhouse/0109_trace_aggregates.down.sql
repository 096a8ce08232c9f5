DROP VIEW IF EXISTS feedback.trace_aggregates;
