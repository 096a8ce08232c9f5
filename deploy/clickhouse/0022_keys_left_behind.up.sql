-- An operator may open the server again: the keys that there are then are left behind, and close it no longer.
ALTER TABLE feedback.api_keys
    ADD COLUMN IF NOT EXISTS reopened_at Nullable(DateTime64(3, 'UTC'))
        COMMENT 'When an operator opened the server and left this key behind; null: the key keeps it closed'
        AFTER revoked_at;

ALTER TABLE feedback.api_keys
    ADD COLUMN IF NOT EXISTS read_rate_limit_per_s UInt32
        COMMENT 'Questions a second; 0: as the setting of the API says'
        AFTER rate_limit_per_s;

ALTER TABLE feedback.api_keys
    COMMENT COLUMN IF EXISTS is_revoked '0: made, 1: revoked, 2: left behind; a row with a higher number replaces the others';
