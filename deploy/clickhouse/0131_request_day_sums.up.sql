-- What the requests of one day add up to, by each value of one key of their metadata, with the feedback on their traces:
-- what the API keeps of an answer, so that it need not look at the same requests again (docs/design.md).
--
-- A row is:    one day of one key as somebody has asked for it. It counts until one of its requests or
--              their traces has changed, and a later row replaces it.
-- Made from:   request_log_rows and trace_aggregate_rows. Nothing is lost if the table is emptied.
-- Written by:  the API, when it is asked for requests by this key.
-- Removed by:  ClickHouse itself, 30 days after it was made; all of it with any removal of requests or feedback.
-- Read by:     the API.
-- Key:         workspace, key and day.
-- Partitions:  none: a day is one row.
CREATE TABLE IF NOT EXISTS feedback.request_day_sums
(
    workspace LowCardinality(String) COMMENT 'Whose requests these are',
    key       String COMMENT 'A key of metadata',
    day       Date COMMENT 'Day on which the requests began, UTC',
    requests_block UInt64 COMMENT 'Number of the newest block of request_log_rows, before its rows were read',
    traces_block   UInt64 COMMENT 'Number of the newest block of trace_aggregate_rows, likewise',
    removal        UInt64 COMMENT 'Hash of the newest removal from these tables, likewise',
    groups    Nested
    (
        value            String,
        requests         UInt64,
        cost             Float64,
        tokens           UInt128,
        tokens_n         UInt64,
        first_seen       DateTime64(3, 'UTC'),
        last_seen        DateTime64(3, 'UTC'),
        with_feedback    UInt64,
        feedback_count   UInt64,
        value_weight_sum Decimal(38, 9),
        weight_sum       Decimal(38, 9)
    ) COMMENT 'Each value, and its sums. Of feedback only what is on traces that have requests on no other day',
    others    Nested
    (
        trace            UInt128,
        value            String,
        requests         UInt64
    ) COMMENT 'Requests on other traces that have feedback, by trace and value',
    made_at   DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When this was computed'
)
ENGINE = ReplacingMergeTree(made_at)
ORDER BY (workspace, key, day)
TTL toDateTime(made_at) + INTERVAL 30 DAY
COMMENT 'What the API keeps of days that it was asked for';
