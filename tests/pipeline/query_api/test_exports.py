"""What was sent comes back in an export, in each format and with the feedback of its trace."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.pipeline.engines import until
from tests.pipeline.query_api.exporting import Exports
from tests.pipeline.running import Pipeline
from tests.pipeline.stream_workers.test_pipeline import a_trace

TEXT = 'ü "quoted"; 1,5\r\nsecond line\t\\ \u2028 😀'
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": TEXT}], "n": 12345678901234567890, "x": 1e-7}


@pytest.fixture(scope="module")
def exports(pipeline: Pipeline) -> Exports:
    return Exports(pipeline.url)


@pytest.fixture(scope="module")
def sent(pipeline: Pipeline) -> dict[str, Any]:
    """Three requests of one user, two on a trace with feedback and one on a trace without; ids by name."""
    judged, plain = a_trace(), f"=HYPERLINK({a_trace()})"
    user = f"@{a_trace()}"
    log: dict[str, Any] = {
        "request": {"url": "https://api.example.com/v1/chat", "body": BODY, "provider": "openai", "method": "post"},
        "response": {
            "status": 200,
            "response_time": 840.5,
            "body": {"usage": {"prompt_tokens": 40, "completion_tokens": 17, "total_tokens": 57}, "text": TEXT},
        },
    }

    def logged(trace: str, at: str, status: int, **metadata: Any) -> str:
        response = log["response"] | {"status": status}
        metadata = {"trace_id": trace, "_user": user, **metadata}
        return pipeline.post("/v1/logs", log | {"response": response, "start_time": at, "metadata": metadata})[0]

    found: dict[str, Any] = {"judged": judged, "plain": plain, "user": user}
    found["first"] = logged(
        judged, "2026-03-01T10:00:00.123Z", 200, _prompt="greeting", note=TEXT, deep={"a": [1, None]}
    )
    found["second"] = logged(judged, "2026-03-01T10:00:01Z", 429)
    found["third"] = logged(plain, "2026-03-01T10:00:02Z", 200)
    found["feedback"] = [pipeline.feedback(judged, 5, 0.5, comment="good"), pipeline.feedback(judged, -10, 0.123456789)]
    count = "SELECT count() FROM feedback.request_logs WHERE _user = {u:String}"
    until(lambda: pipeline.count(count, u=user) == 3, "the requests are stored")
    until(lambda: pipeline.aggregate(judged).get("feedback_count") == 2, "the feedback is stored")
    return found


PAIRS = [{"value": 5, "weight": 0.5}, {"value": -10, "weight": 0.123456789}]
MEAN = (2.5 - 1.23456789) / 2
WEIGHTED_MEAN = (2.5 - 1.23456789) / 0.623456789


def test_jsonl_has_every_field_as_it_was_sent(exports: Exports, sent: dict[str, Any]) -> None:
    content = exports.downloaded(filters={"metadata": {"_user": sent["user"]}})
    found = [json.loads(line) for line in content.decode().removesuffix("\n").split("\n")]
    first, second, third = sorted(found, key=lambda row: row["created_at"])
    assert (first["id"], second["id"], third["id"]) == (sent["first"], sent["second"], sent["third"])
    assert first["created_at"] == "2026-03-01T10:00:00.123Z"
    assert (first["trace_id"], first["ai_org"], first["ai_model"]) == (sent["judged"], "openai", "gpt-4o")
    assert (first["response_status_code"], first["is_success"], first["response_time"]) == (200, True, 840.5)
    assert (second["response_status_code"], second["is_success"]) == (429, False)
    assert (first["req_units"], first["res_units"], first["total_units"], first["cost"]) == (40, 17, 57, None)
    assert (first["prompt_slug"], first["user"], first["environment"]) == ("greeting", sent["user"], "")
    assert first["request"]["body"] == BODY
    assert (first["request"]["url"], first["request_url"]) == ("https://api.example.com/v1/chat",) * 2
    assert first["response"]["body"]["text"] == TEXT
    assert (first["metadata"]["note"], first["metadata"]["deep"]) == (TEXT, {"a": [1, None]})
    for judged in (first, second):
        assert (judged["feedback_count"], judged["feedback"]) == (2, PAIRS)
        assert judged["avg_weighted_feedback"] == pytest.approx(MEAN, rel=1e-14)
        assert judged["weighted_mean"] == pytest.approx(WEIGHTED_MEAN, rel=1e-14)
    assert (third["feedback_count"], third["feedback"]) == (0, [])
    assert (third["avg_weighted_feedback"], third["weighted_mean"]) == (None, None)


def test_csv_and_parquet_say_the_same_as_jsonl(exports: Exports, sent: dict[str, Any]) -> None:
    asked = {"filters": {"metadata": {"_user": sent["user"]}}}
    lines = exports.downloaded(**asked).decode().removesuffix("\n").split("\n")
    wanted = sorted((json.loads(line, parse_float=Decimal) for line in lines), key=lambda row: row["created_at"])
    table = pq.read_table(io.BytesIO(exports.downloaded(**asked, format="parquet"))).to_pylist()
    table.sort(key=lambda row: row["created_at"])
    text = exports.downloaded(**asked, format="csv").decode()
    rows = sorted(csv.DictReader(io.StringIO(text, newline="")), key=lambda row: row["created_at"])
    assert len(rows) == len(table) == len(wanted) == 3
    assert list(rows[0]) == list(table[0]) == list(wanted[0])
    nested = ("metadata", "request", "response")
    for row, line, one in zip(rows, table, wanted, strict=True):
        for name, value in one.items():
            cell, typed = row[name], line[name]
            if name in nested:
                assert json.loads(cell, parse_float=Decimal) == json.loads(typed, parse_float=Decimal) == value
            elif name == "feedback":
                assert json.loads(cell, parse_float=Decimal) == typed == value
            elif name in ("created_at", "received_at"):
                assert cell == value == typed.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            elif value is None:
                assert (cell, typed) == ("", None)
            elif isinstance(value, str):
                assert typed == value
                assert cell == (f"'{value}" if value.startswith(("=", "@")) else value)
            else:
                assert json.loads(cell, parse_float=Decimal) == value
                assert typed == (float(value) if isinstance(value, Decimal) else value)


def test_an_export_has_the_columns_and_rows_that_were_asked_for(exports: Exports, sent: dict[str, Any]) -> None:
    filters = {"metadata": {"_user": sent["user"]}, "page_size": 2, "current_page": 0}
    asked = {"requested_data": ["trace_id", "id"], "filters": filters}
    export_id = exports.started(**asked)
    one = exports.until_status(export_id, "success")
    assert (one["total_records"], one["progress"]["rows_done"], one["filters"]) == (2, 2, filters)
    lines = [json.loads(line) for line in exports.downloaded(**asked).splitlines()]
    names = ["trace_id", "id", "feedback_count", "feedback", "avg_weighted_feedback", "weighted_mean"]
    assert [list(line) for line in lines] == [names, names]
    assert [line["id"] for line in lines] == [sent["first"], sent["second"]]
    filters["current_page"] = 1
    (third,) = (json.loads(line) for line in exports.downloaded(**asked).splitlines())
    assert third["id"] == sent["third"]
    filters |= {"status_code": "429", "current_page": 0}
    (second,) = (json.loads(line) for line in exports.downloaded(**asked).splitlines())
    assert second["id"] == sent["second"]


def test_an_export_of_nothing_is_an_empty_file_of_its_format(exports: Exports) -> None:
    nothing: dict[str, Any] = {"filters": {"trace_id": a_trace()}, "requested_data": ["id"]}
    assert exports.downloaded(**nothing) == b""
    assert exports.downloaded(**nothing, format="csv").startswith(b'"id","feedback_count"')
    assert pq.read_table(io.BytesIO(exports.downloaded(**nothing, format="parquet"))).num_rows == 0


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_feedback_itself_can_be_exported(exports: Exports, sent: dict[str, Any], form: str) -> None:
    content = exports.downloaded(kind="feedback", format=form, filters={"trace_id": sent["judged"]})
    if form == "parquet":
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    else:
        rows = [json.loads(line, parse_float=Decimal) for line in content.splitlines()]
    good, bad = sorted(rows, key=lambda row: sent["feedback"].index(row["id"]))
    assert len(rows) == 2
    assert [(int(row["value"]), Decimal(row["weight"])) for row in (good, bad)] == [
        (5, Decimal("0.5")),
        (-10, Decimal("0.123456789")),
    ]
    metadata = good["metadata"] if isinstance(good["metadata"], dict) else json.loads(good["metadata"])
    assert (metadata, good["join_state"], good["user"].removeprefix("'")) == (
        {"comment": "good"},
        "joined",
        sent["user"],
    )
    models = json.loads(good["ai_models"]) if form == "csv" else good["ai_models"]
    assert models == ["gpt-4o"]


@pytest.mark.parametrize(
    ("chosen", "total"),
    [
        ({"comment": "GOOD"}, 1),
        ({"value_max": 5}, 2),
        ({"value_min": "-9"}, 1),
        ({"weight_max": 0.123456788}, 0),
        ({"join_state": "joined"}, 2),
        ({"join_state": "pending"}, 0),
    ],
)
def test_an_export_of_feedback_takes_the_filters_of_feedback(
    exports: Exports, sent: dict[str, Any], chosen: dict[str, Any], total: int
) -> None:
    asked = {"filters": {"trace_id": sent["judged"], **chosen}}
    assert exports.answered("POST", "", {"kind": "feedback", **asked})["total"] == total
    refused = exports.call("POST", "", asked)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, next(iter(chosen)))
