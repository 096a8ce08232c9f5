"""What an export's facts come to, which files are kept, and whose addresses are genuine."""

import csv
import io
import itertools
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.exports.columns import ALWAYS
from query_api.exports.files import DamagedFileError, Part, disk, folder_in_use, lines_outside_quotes, path_of, sweep
from query_api.exports.orders import Order, order_in
from query_api.exports.signing import check, signature
from query_api.exports.state import Export, Fact, export
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)
ORDER = Order({}, ("id",), created_at="2026-01-01").as_content()


def fact(kind: str, second: float, attempt: int = 1, runner: str = "", **content: Any) -> Fact:
    content = ORDER if kind in ("order", "claim") else content
    return Fact(kind, attempt if kind != "order" else 0, runner, content, START + timedelta(seconds=second))


def at(second: float, *facts: Fact) -> Export:
    """The export; the same in whatever order its facts are read."""
    found = [export(order, START + timedelta(seconds=second), LEASE) for order in itertools.permutations(facts)]
    assert found[0] is not None
    assert all(one == found[0] for one in found)
    return found[0]


ORDERED = fact("order", 0)
CLAIMED = fact("claim", 10, runner="a")


def test_an_export_is_a_draft_until_someone_claims_it() -> None:
    assert export([], START, LEASE) is None
    assert at(1000, ORDERED).status == "draft"
    assert at(11, ORDERED, CLAIMED).status == "in_progress"


def test_the_first_of_several_claims_counts_and_what_the_others_say_does_not() -> None:
    late = fact("claim", 10.5, runner="0")
    other = fact("run", 12, runner="0", state="success", rows_done=3)
    assert (at(13, ORDERED, CLAIMED, late, other).status, at(13, ORDERED, CLAIMED, late).runner) == ("in_progress", "a")


def test_a_run_that_falls_silent_has_failed_and_counts_again_when_it_speaks() -> None:
    run = fact("run", 20, runner="a", state="running", rows_done=5)
    assert at(50, ORDERED, CLAIMED, run).status == "in_progress"
    silent = at(51, ORDERED, CLAIMED, run)
    assert (silent.status, silent.progress.rows_done) == ("failed", 5)
    assert "2026-01-01T00:00:20Z" in (silent.error or "")
    assert at(9999, ORDERED, CLAIMED, fact("run", 60, runner="a", state="success")).status == "success"


def test_a_cancellation_counts_unless_the_run_had_ended_before() -> None:
    def ended(second: float) -> Fact:
        return fact("run", second, runner="a", state="success")

    cancelled = fact("cancel", 20)
    assert at(21, ORDERED, CLAIMED, ended(19), cancelled).status == "success"
    assert at(22, ORDERED, CLAIMED, ended(21), cancelled).status == "stopped"
    assert at(22, ORDERED, CLAIMED, cancelled, fact("run", 21, runner="a", state="failed")).status == "stopped"


def test_a_new_attempt_leaves_the_one_before_behind() -> None:
    before = (ORDERED, CLAIMED, fact("cancel", 20))
    again = fact("claim", 30, attempt=2, runner="b")
    late = fact("run", 31, attempt=1, runner="a", state="success")
    assert (at(31, *before, again, late).status, at(31, *before, again, late).attempt) == ("in_progress", 2)


@given(st.lists(st.lists(st.text('a",\n\r'), min_size=2, max_size=3), max_size=5), st.integers(1, 7))
def test_rows_of_csv_are_counted_however_its_bytes_are_cut(rows: list[list[str]], size: int) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    content = written.getvalue().encode()
    count, within = 0, False
    for start in range(0, len(content), size):
        lines, within = lines_outside_quotes(content[start : start + size], within)
        count += lines
    assert (count, within) == (len(rows), False)


def test_a_part_becomes_a_file_when_it_is_whole_and_else_is_gone(tmp_path: Path) -> None:
    path = path_of(tmp_path, "0" * 36, "1" * 32, "jsonl")
    with Part(path, "jsonl") as part:
        part.write(b'{"a": 1}\n{"a"')
        with pytest.raises(DamagedFileError):
            part.finish()
    assert list(tmp_path.iterdir()) == []
    with Part(path, "jsonl") as part:
        part.write(b'{"a": 1}\n')
        assert (part.rows_done, list(tmp_path.iterdir())) == (1, [path.with_name(f"{path.name}.part")])
        assert part.finish() == 1
    assert list(tmp_path.iterdir()) == [path]
    parquet = path.with_suffix(".parquet")
    with Part(parquet, "parquet") as part:
        part.write(b"PAR1 and no more")
        with pytest.raises(DamagedFileError):
            part.finish()
    assert list(tmp_path.iterdir()) == [path]


def test_a_sweep_takes_what_is_too_old_and_nothing_that_is_not_ours(tmp_path: Path) -> None:
    ours = path_of(tmp_path, "0" * 36, "1" * 32, "csv")
    fresh, part = ours.with_name("a" + ours.name[1:]), ours.with_name(f"{ours.name}.part")
    mine, new_part = tmp_path / "notes.csv", fresh.with_name(f"{fresh.name}.part")
    for path in (ours, fresh, part, mine, new_part):
        path.write_text("x")
    for path in (ours, part, mine):
        os.utime(path, (time.time() - 7200,) * 2)
    assert sweep(tmp_path, 3600) == 2
    assert set(tmp_path.iterdir()) == {fresh, mine, new_part}
    assert sweep(tmp_path / "nowhere", 3600) == 0


@given(st.text(max_size=70), st.text(max_size=13))
def test_only_the_signature_of_an_address_opens_it(forged: str, expires: str) -> None:
    signed = signature("secret", "an-id", 2000)
    check("secret", "an-id", "2000", signed, 1999)
    with pytest.raises(ApiError) as refused:
        check("secret", "an-id", "2000", forged, 1999)
    assert refused.value.status == 403
    for other in {expires, "2001", "02000", " 2000", "+2000", "2000.0"} - {"2000"}:
        with pytest.raises(ApiError) as refused:
            check("secret", "an-id", other, signed, 0)
        assert refused.value.status == 403
    with pytest.raises(ApiError) as refused:
        check("secret", "an-id", "2000", signed, 2000)
    assert refused.value.status == 410
    for secret, export_id in (("another", "an-id"), ("secret", "another")):
        with pytest.raises(ApiError) as refused:
            check(secret, export_id, "2000", signed, 0)
        assert refused.value.status == 403


def test_what_a_file_tells_of_feedback_is_what_its_order_asks_for_and_may_have() -> None:
    def order(with_feedback: bool, **body: Any) -> Order:
        return order_in(body, "default", Order.at(START), with_feedback)

    assert order(True).tells_feedback
    assert not order(False).tells_feedback
    assert {"id", "request"} <= {*order(False).columns}
    assert not {*order(False).columns} & {*ALWAYS["logs"]}
    assert not order(False, requested_data=["id"]).tells_feedback
    assert order(True, requested_data=["id"]).tells_feedback
    for body in (
        {"kind": "feedback"},
        {"kind": "feedback", "requested_data": ["id"]},
        *({"requested_data": ["id", name]} for name in ALWAYS["logs"]),
        {"requested_data": ["id"], "filters": {"weighted_feedback_min": 1}},
        {"requested_data": ["id"], "filters": {"weighted_feedback_max": "1"}},
        {"requested_data": ["id"], "filters": {"has_feedback": False}},
    ):
        assert order(False, **body).tells_feedback, body
    content = {name: value for name, value in order(True).as_content().items() if name != "with_feedback"}
    assert Order.stored(content).tells_feedback, "an order of before had it"


@pytest.mark.parametrize(
    ("host", "public_url", "address"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:80"),
        ("0.0.0.0", "", "http://127.0.0.1:80"),
        ("::", "", "http://[::1]:80"),
        ("fd00::7", "", "http://[fd00::7]:80"),
        ("feedback.internal", "", "http://feedback.internal:80"),
        ("0.0.0.0", "https://feedback.example.com/api/", "https://feedback.example.com/api"),
    ],
)
def test_a_file_is_at_the_address_that_the_operator_has_given(host: str, public_url: str, address: str) -> None:
    assert QuerySettings(host=host, port=80, public_url=public_url).address == address


@pytest.mark.parametrize("size", ["9" * 5000, 10**13, "0", "1.5", True, "٣"])
def test_a_page_size_that_is_none_is_refused_by_its_name(size: Any) -> None:
    with pytest.raises(ApiError, match=r"^page_size must be a whole number") as refused:
        order_in({"filters": {"page_size": size}}, "default", Order.at(START))
    assert (refused.value.status, refused.value.param) == (400, "page_size")


def test_a_page_beyond_all_rows_is_refused_when_it_is_ordered() -> None:
    filters = {"page_size": 10**12, "current_page": 10**12}
    with pytest.raises(ApiError, match=r"after the first 1,000,000,000,000$") as refused:
        order_in({"filters": filters}, "default", Order.at(START))
    assert (refused.value.status, refused.value.param) == (400, "current_page")
    assert order_in({"filters": {"page_size": 10, "current_page": 5}}, "default", Order.at(START)).page == (10, 50)


def test_a_folder_that_cannot_be_used_is_named_and_no_engine_is_blamed(tmp_path: Path) -> None:
    """A folder of another user was answered with "Kafka or ClickHouse does not answer in time"."""
    with pytest.raises(ApiError) as refused, folder_in_use(tmp_path, "the export was not started"):
        disk(tmp_path / ("x" * 300))
    assert refused.value.status == 507
    assert refused.value.message.startswith(
        "the folder of exported files cannot be used (File name too long), so the export was not started: whoever"
    )
