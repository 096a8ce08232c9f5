-- Which granules may hold a request that says some text under some key of its metadata, as JSONExtractString reads it. The
-- special fields have columns and indexes of their own. query_api/filters/conditions.py asks by the same expression.
ALTER TABLE feedback.request_log_rows
    ADD INDEX IF NOT EXISTS by_metadata arrayMap(
        pair -> concat(pair.1, '\x1F', if(startsWith(pair.2, '"'), JSONExtractString(pair.2), pair.2)),
        JSONExtractKeysAndValuesRaw(metadata)
    ) TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE feedback.request_log_rows
    MATERIALIZE INDEX by_metadata SETTINGS mutations_sync = 2;
