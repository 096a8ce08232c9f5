"""Writes the users.xml with which the embedded engine is started: what the engine allows its one user. Pure.

There are two lists: of privileges, none of which reaches a file, a host, a server command or another user; and of
settings with text, because a text may be a path, a host or SQL. Everything else is refused, also what a later version
of the engine adds. clickhouse_inspection refuses what no privilege covers.
"""

from collections.abc import Mapping
from xml.sax.saxutils import escape

_PRIVILEGES = (
    *("SELECT", "INSERT", "SHOW", "CHECK", "OPTIMIZE", "TRUNCATE", "KILL QUERY", "dictGet"),
    *("CREATE DATABASE", "CREATE TABLE", "CREATE VIEW", "CREATE TEMPORARY TABLE"),
    *("DROP DATABASE", "DROP TABLE", "DROP VIEW", "ALTER TABLE", "ALTER VIEW"),
)
# The engine's own databases: without them it cannot tell what it has and does.
_READ_ALONE = ("system", "INFORMATION_SCHEMA", "information_schema")
_CHANGES = "INSERT, TRUNCATE, OPTIMIZE, CREATE, DROP, ALTER"
# Copies on the disk that no later statement finds, and parts of other tables and places.
_PARTITIONS = "ALTER FREEZE PARTITION, ALTER FETCH PARTITION, ALTER MOVE PARTITION"

TEXT_SETTINGS = frozenset(
    {
        *("bool_false_representation", "bool_true_representation", "count_distinct_implementation"),
        *("exclude_materialize_skip_indexes_on_insert", "force_data_skipping_indices", "ignore_data_skipping_indices"),
        *("force_optimize_projection_name", "preferred_optimize_projection_name"),
        *("format_csv_null_representation", "format_tsv_null_representation", "format_regexp"),
        *("format_custom_field_delimiter", "format_custom_result_after_delimiter"),
        *("format_custom_result_before_delimiter", "format_custom_row_after_delimiter"),
        *("format_custom_row_before_delimiter", "format_custom_row_between_delimiter"),
        *("format_json_object_each_row_column_for_object_name", "output_format_avro_codec"),
        *("input_format_orc_reader_time_zone_name", "output_format_orc_writer_time_zone_name"),
        *("database", "insert_deduplication_token", "log_comment", "query_cache_tag", "session_timezone"),
        *("output_format_avro_string_column_pattern", "output_format_pretty_grid_charset"),
        *("output_format_sql_insert_table_name", "temporary_files_codec", "workload"),
    }
)
"""Settings of text that callers may change: none of them is read as a path, a host or SQL."""

_TEXT_TYPES = frozenset({"String", "Map", "URI", "Timezone"})

# Expressions in VALUES would be evaluated as SQL that was not inspected.
_FIXED = {
    "input_format_values_interpret_expressions": "0",
    "input_format_values_deduce_templates_of_expressions": "0",
}
# To compile a statement takes 30 to 120 ms, more than to plan and run most of them. Where sums over millions of rows
# are asked for again and again, it pays. Callers may change these.
_DEFAULTS = dict.fromkeys(
    (f"min_count_to_compile_{what}" for what in ("expression", "aggregate_expression", "sort_description")), "100"
)
# Another dialect would be parsed by other rules.
_CLOSED = ("dialect",)


def fixed_settings(types: Mapping[str, str]) -> list[str]:
    """The settings, of these names and types, that callers may not change."""
    text = {name for name, kind in types.items() if kind in _TEXT_TYPES} - TEXT_SETTINGS
    return sorted({*text, *_FIXED, *(name for name in _CLOSED if name in types)})


def users_xml(types: Mapping[str, str]) -> str:
    """The user and the profile of an engine with these settings."""
    values = "".join(f"<{name}>{value}</{name}>" for name, value in {**_FIXED, **_DEFAULTS}.items())
    fixed = "".join(f"<{escape(name)}><const/></{escape(name)}>" for name in fixed_settings(types))
    grants = (
        f"GRANT {', '.join(_PRIVILEGES)} ON *.*",
        f"REVOKE {_PARTITIONS} ON *.*",
        *(f"REVOKE {_CHANGES} ON {database}.*" for database in _READ_ALONE),
    )
    queries = "".join(f"<query>{each}</query>" for each in grants)
    return f"""<clickhouse>
  <profiles><default>{values}<constraints>{fixed}</constraints></default></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password/>
    <networks><ip>::/0</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants>{queries}</grants>
  </default></users>
</clickhouse>
"""
