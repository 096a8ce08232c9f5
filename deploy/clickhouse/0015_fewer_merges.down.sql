ALTER TABLE feedback.trace_aggregate_rows RESET SETTING merge_selector_base;

ALTER TABLE feedback.trace_journal RESET SETTING merge_selector_base;

ALTER TABLE feedback.feedback_hour_rows RESET SETTING merge_selector_base;

ALTER TABLE feedback.feedback_rows RESET SETTING merge_selector_base;
