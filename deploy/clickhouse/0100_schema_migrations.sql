-- The database, and which of the numbered files here are in force. `feedback migrate` carries this file out before
-- all others; it has no number of its own in the table, and no way back.
--
-- A row is:    one numbered file that was applied or undone.
-- Written by:  `feedback migrate`, after the last statement of a file.
-- Read by:     every program at its start; it refuses tables of another version than its own.
-- Key:         version. The row changed last replaces the others, and a file that was undone shows no more.
-- Partitions:  none; there are some dozens of rows.
CREATE DATABASE IF NOT EXISTS feedback;

CREATE TABLE IF NOT EXISTS feedback.schema_migrations
(
    version    UInt32 COMMENT 'The number its file begins with',
    name       String COMMENT 'The name of its file',
    changed_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was applied or undone',
    is_undone  UInt8 DEFAULT 0 COMMENT '1: it was undone'
)
ENGINE = ReplacingMergeTree(changed_at, is_undone)
ORDER BY version
COMMENT 'Migrations in force; read it with FINAL';
