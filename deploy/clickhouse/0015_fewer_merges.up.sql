-- A poll leaves a handful of small parts in each table. Merged twelve at a time instead of five, a row is written again
-- half as often, and about as many parts stand as before (docs/benchmark-notes.md).
ALTER TABLE feedback.feedback_rows MODIFY SETTING merge_selector_base = 12;

ALTER TABLE feedback.feedback_hour_rows MODIFY SETTING merge_selector_base = 12;

ALTER TABLE feedback.trace_journal MODIFY SETTING merge_selector_base = 12;

ALTER TABLE feedback.trace_aggregate_rows MODIFY SETTING merge_selector_base = 12;
