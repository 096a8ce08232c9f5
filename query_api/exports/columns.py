"""The rows of an export as ClickHouse is to make them: columns of each kind, and how each format writes them.

Pure. Names are Portkey's where it has one. JSON inside a row (metadata, request, response) stays as it came, byte for
byte: nested in JSONL, as text in CSV and Parquet. A text in CSV that a spreadsheet would take for a formula gets an
apostrophe in front; JSONL and Parquet are exact.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from query_api.exact_quotients import quotient
from query_api.filters.conditions import Conditions

_PAIRS = "Array(Tuple(value Int8, weight Decimal(18, 9)))"


@dataclass(frozen=True)
class ExportColumn:
    """One column: its name, the SQL that gives it, and what that gives."""

    name: str
    sql: str
    gives: Literal["text", "json", "list", "other"] = "other"


def _object(**members: tuple[str, str]) -> str:
    """SQL for the JSON of an object: each member is SQL and whether that is JSON already."""
    parts = [f"""'"{name}":', {_as_json(sql, given)}""" for name, (sql, given) in members.items()]
    return "concat('{', " + ", ',', ".join(parts) + ", '}')"


def _as_json(sql: str, given: str) -> str:
    return f"if({sql} = '', 'null', {sql})" if given == "json" else f"ifNull(toJSONString({sql}), 'null')"


_REQUEST = _object(
    url=("r.url", ""), method=("r.method", ""), headers=("r.request_headers", "json"), body=("r.request_body", "json")
)
_RESPONSE = _object(
    status=("r.status", ""), headers=("r.response_headers", "json"), body=("r.response_body", "json")
)  # fmt: skip

_TAGS = (
    ExportColumn("prompt_slug", "r._prompt", "text"),
    ExportColumn("user", "r._user", "text"),
    ExportColumn("organisation", "r._organisation", "text"),
    ExportColumn("environment", "toString(r._environment)", "text"),
    ExportColumn("metadata", "r.metadata", "json"),
)
_LOGS = (
    ExportColumn("id", "toString(r.request_id)"),
    ExportColumn("trace_id", "r.trace_id", "text"),
    ExportColumn("span_id", "r.span_id", "text"),
    ExportColumn("parent_span_id", "r.parent_span_id", "text"),
    ExportColumn("span_name", "r.span_name", "text"),
    ExportColumn("created_at", "r.started_at"),
    ExportColumn("received_at", "r.received_at"),
    ExportColumn("ai_org", "toString(r.provider)", "text"),
    ExportColumn("ai_model", "toString(r.model)", "text"),
    ExportColumn("request_method", "toString(r.method)", "text"),
    ExportColumn("request_url", "r.url", "text"),
    ExportColumn("response_status_code", "r.status"),
    ExportColumn("is_success", "toBool(r.status >= 200 AND r.status < 300)"),
    ExportColumn("response_time", "r.response_time_ms"),
    ExportColumn("req_units", "r.prompt_tokens"),
    ExportColumn("res_units", "r.completion_tokens"),
    ExportColumn("total_units", "r.total_tokens"),
    ExportColumn("cost", "r.cost"),
    ExportColumn("cost_currency", "'USD'"),
    *_TAGS,
    ExportColumn("request", _REQUEST, "json"),
    ExportColumn("response", _RESPONSE, "json"),
    ExportColumn("feedback_count", "f.feedback_count"),
    ExportColumn("feedback", "f.feedback", "list"),
    ExportColumn("avg_weighted_feedback", "f.mean_value_weight"),
    ExportColumn("weighted_mean", "f.weighted_mean"),
)
_FEEDBACK = (
    ExportColumn("id", "toString(r.feedback_id)"),
    ExportColumn("trace_id", "r.trace_id", "text"),
    ExportColumn("value", "r.value"),
    ExportColumn("weight", "r.weight"),
    ExportColumn("created_at", "r.created_at"),
    ExportColumn("updated_at", "r.updated_at"),
    ExportColumn("join_state", "toString(r.join_state)", "text"),
    ExportColumn("ai_models", "CAST(r.models, 'Array(String)')", "list"),
    ExportColumn("ai_orgs", "CAST(r.providers, 'Array(String)')", "list"),
    *_TAGS,
)
COLUMNS = {kind: {each.name: each for each in columns} for kind, columns in (("logs", _LOGS), ("feedback", _FEEDBACK))}
ALWAYS: dict[str, tuple[str, ...]] = {
    "logs": ("feedback_count", "feedback", "avg_weighted_feedback", "weighted_mean"),
    "feedback": (),
}
FORMATS = {"jsonl": "LineAsString", "csv": "CSVWithNames", "parquet": "Parquet"}
"""Each format of ours, and ClickHouse's that writes it."""
CONTENT_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8",
                 "parquet": "application/vnd.apache.parquet"}  # fmt: skip

# What keeps memory flat: small blocks and row groups, nothing formatted ahead, and disk for what must be gathered.
SETTINGS: dict[str, Any] = {
    "max_threads": 2,
    "max_block_size": 8192,
    "output_format_parallel_formatting": 0,
    "output_format_parquet_parallel_encoding": 0,
    "output_format_parquet_row_group_size": 20_000,
    "max_bytes_before_external_group_by": 512 << 20,
    "max_bytes_before_external_sort": 512 << 20,
    "max_execution_time": 0,
    "date_time_output_format": "iso",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_escape_forward_slashes": 0,
    "output_format_csv_crlf_end_of_line": 1,
    "format_csv_null_representation": "",
    "cancel_http_readonly_queries_on_client_close": 1,
}
_OF_TRACES = f"""LEFT JOIN
(
    SELECT trace_id, count() AS feedback_count,
        toNullable({quotient("sum(value * weight)", "count()")}) AS mean_value_weight,
        if(sum(weight) = 0, NULL, {quotient("sum(value * weight)", "sum(weight)")}) AS weighted_mean,
        CAST(arrayMap(each -> (each.3, each.4), arraySort(groupArray((created_at, feedback_id, value, weight)))),
            '{_PAIRS}') AS feedback
    FROM feedback.feedback
    WHERE workspace = {{workspace:String}}
    GROUP BY trace_id
) AS f ON r.trace_id = f.trace_id"""
_SOURCES = {
    "logs": ("feedback.request_logs AS r", _OF_TRACES, "r.started_at, r.request_id"),
    "feedback": ("feedback.feedback AS r", "", "r.created_at, r.feedback_id"),
}


def rows_sql(kind: str, names: Iterable[str], form: str, conditions: Conditions, page: tuple[int, int] | None) -> str:
    """The query that gives the rows in a format. With `page` = (limit, offset) they are ordered by time, else not."""
    source, join, order = _SOURCES[kind]
    columns = [COLUMNS[kind][name] for name in names]
    # A sort would hold all rows, bodies too; a page is little and means nothing without an order.
    part = f"ORDER BY {order} LIMIT {page[0]} OFFSET {page[1]}" if page else ""
    return f"""SELECT {_selected(columns, form)}
FROM {source} {join}
WHERE {conditions.text}
{part}"""


def count_sql(kind: str, conditions: Conditions) -> str:
    """The query that counts them, pages apart."""
    return f"SELECT count() AS total FROM {_SOURCES[kind][0]} WHERE {conditions.text}"


def _selected(columns: list[ExportColumn], form: str) -> str:
    if form == "jsonl":
        return _object(**{each.name: (each.sql, each.gives) for each in columns}) + " AS line"
    written = _csv if form == "csv" else (lambda column: column.sql)
    return ",\n    ".join(f"{written(each)} AS `{each.name}`" for each in columns)


def _csv(column: ExportColumn) -> str:
    if column.gives == "text":
        return rf"if(match({column.sql}, '^[=+\\-@\\t\\r]'), concat('\'', {column.sql}), {column.sql})"
    return f"toJSONString({column.sql})" if column.gives == "list" else column.sql
