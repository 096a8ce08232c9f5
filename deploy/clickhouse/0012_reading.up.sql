-- What waits for its request is little and mostly recent: a list of it passes over all else.
ALTER TABLE feedback.feedback_rows
    ADD INDEX IF NOT EXISTS by_join_state join_state TYPE set(4) GRANULARITY 1;

ALTER TABLE feedback.feedback_rows
    MATERIALIZE INDEX by_join_state SETTINGS mutations_sync = 2;
