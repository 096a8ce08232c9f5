-- Small facts that programs and commands leave for those that run later.
--
-- A row is:    the value that was last given to a name.
-- Written by:  `feedback migrate` and `feedback up` (how long rows are kept, when feedback counts as orphaned, the
--              offset base, what is stored whole), `feedback audit` and `feedback reconcile` (what the last check came to).
-- Read by:     the view policy, commands, the admin API.
-- Key:         name. The row written last replaces the others.
-- Partitions:  none; there are a handful of rows.
CREATE TABLE IF NOT EXISTS feedback.settings
(
    name       String COMMENT 'As the environment variable, without FEEDBACK_, in lower case; or last_audit and the like',
    value      String COMMENT 'A whole number as text; results of checks as JSON',
    changed_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was written'
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY name
COMMENT 'Settings in force';
