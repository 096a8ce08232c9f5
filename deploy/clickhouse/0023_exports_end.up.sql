-- Facts about exports go when no file can be left of them: files are kept for a year at most. Otherwise orders that nobody
-- starts would gather for ever.
ALTER TABLE feedback.exports MODIFY TTL toDateTime(noted_at) + toIntervalDay(400);

ALTER TABLE feedback.exports COMMENT COLUMN fact 'order, claim, run, cancel or delete';
