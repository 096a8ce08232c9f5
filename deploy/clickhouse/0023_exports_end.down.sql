ALTER TABLE feedback.exports COMMENT COLUMN fact 'order, claim, run or cancel';

ALTER TABLE feedback.exports REMOVE TTL;
