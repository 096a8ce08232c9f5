-- What an erasure has found and not yet removed everywhere, so that one that was cut off is finished when it is run
-- again: it goes table by table, and the rows that told what is theirs go with the first.
--
-- A row is:    one feedback, request, trace or hour that an erasure of one person touches.
-- Written by:  `feedback erase` and `feedback demo --remove`.
-- Removed by:  the same, last of all. It is empty while no erasure is under way or cut off.
-- Read by:     the same.
-- Key:         workspace, person, kind and id; what is found twice is noted once.
-- Partitions:  none; there are few rows.
CREATE TABLE IF NOT EXISTS feedback.erasures_under_way
(
    workspace LowCardinality(String) COMMENT 'Whose data',
    user      String COMMENT 'The person, as _user names them',
    kind      Enum8('feedback' = 1, 'request' = 2, 'trace' = 3, 'hour' = 4) COMMENT 'What id is',
    id        String COMMENT 'feedback_id, request_id, trace_id, or the start of an hour in Unix seconds'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, user, kind, id)
COMMENT 'What erasures have found and not yet removed everywhere; empty where none was cut off';
