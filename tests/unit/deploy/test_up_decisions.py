"""What `feedback up` decides without any engine: pauses, offset bases, what is left, which ports will not do."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.embedded import broker
from deploy.embedded.broker import BrokerUnavailableError
from deploy.up import checks
from deploy.up.checks import CannotStartError, locked_folder, refuse_full_disk, refuse_taken_ports
from deploy.up.disk import shortage
from deploy.up.health import FIRST_ANSWER_S, SILENT_S, UNREADY_S, Check, Patience
from deploy.up.losses import AcknowledgedRecords, ends_of_lost_log
from deploy.up.options import Options, metrics_port, metrics_ports
from deploy.up.run import who_may_call
from deploy.up.setup import Setup
from operations.api_keys.stored_keys import reopening_records
from operations.broker_offsets import GAP, offset_base
from runtime.kafka_offsets import records_left
from runtime.restart_backoff import Restarts
from schemas.api_keys import new_key
from stream_workers.settings import WorkerSettings


def test_pauses_double_up_to_five_seconds_and_the_last_death_ends_it() -> None:
    deaths = Restarts(most=8)
    assert [deaths.pause_after(float(n)) for n in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, None]


def test_deaths_more_than_a_minute_ago_no_longer_count() -> None:
    deaths = Restarts()
    for now in (0.0, 1.0, 2.0, 3.0):
        deaths.pause_after(now)
    assert deaths.pause_after(60.5) == 1.6
    assert deaths.pause_after(60.9) is None
    assert deaths.pause_after(200.0) == 0.2


def test_the_first_log_of_an_empty_store_counts_from_zero() -> None:
    assert offset_base(stored=None, former=None) == 0


@pytest.mark.parametrize(("stored", "former"), [(41, None), (41, 7), (None, 41), (7, 41)])
def test_a_later_log_counts_from_above_all_that_was_stored_or_was_still_on_its_way(
    stored: int | None, former: int | None
) -> None:
    assert offset_base(stored, former) == 41 + GAP


def test_the_gap_is_more_than_a_worker_can_hold_of_a_partition() -> None:
    with pytest.raises(ValueError, match="max_poll_records"):
        WorkerSettings(max_poll_records=GAP)


def test_what_is_left_is_counted_per_partition_and_without_a_commit_all_of_it() -> None:
    ends = {("a", 0): 10, ("a", 1): 5, ("b", 0): 0}
    assert records_left(ends, {}) == 15
    assert records_left(ends, {("a", 0): 7, ("b", 0): 0}) == 8
    assert records_left(ends, {("a", 0): 12, ("a", 1): 5}) == 0


def test_a_port_beyond_the_last_is_refused_with_its_option() -> None:
    with pytest.raises(CannotStartError, match=r"^There is no port 65536: give a lower one with --kafka-port\.$"):
        refuse_taken_ports({"--kafka-port": ("127.0.0.1", 65536)})


def test_a_folder_where_there_is_no_disk_cannot_be_made_and_is_not_called_full() -> None:
    folder = Path("/proc/feedback")
    refuse_full_disk(folder)
    fault = r"^/proc/feedback cannot hold data \(.+\): give another folder with --data-dir\.$"
    with pytest.raises(CannotStartError, match=fault), locked_folder(folder):
        raise AssertionError("not reached")


@pytest.mark.parametrize("place", ["link", "link/data", "file", "loop", "\udcff"])
def test_what_is_in_the_way_of_a_folder_is_said(place: str, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    leads_nowhere = f"{link} is a symbolic link to nowhere, which leads nowhere"
    told = {
        "link": leads_nowhere,
        "link/data": leads_nowhere,
        "file": f"{tmp_path / 'file'} is not a folder",
        "loop": f"{tmp_path / 'loop'} is a symbolic link to loop, which leads nowhere",
        "\udcff": "is not UTF-8 text",
    }
    with pytest.raises(CannotStartError) as fault, locked_folder(tmp_path / place):
        raise AssertionError("not reached")
    assert told[place] in str(fault.value)


def test_the_ports_that_will_be_taken_for_metrics_are_known_before() -> None:
    assert metrics_ports({"FEEDBACK_METRICS_PORT": "9464"}, programs=3) == [9464, 9465, 9466]
    assert metrics_ports({}, programs=3) == []


def test_each_program_serves_metrics_on_a_port_of_its_own_where_any_does() -> None:
    given = {"FEEDBACK_METRICS_PORT": "9464"}
    assert [metrics_port(given, number)["FEEDBACK_METRICS_PORT"] for number in range(3)] == ["9464", "9465", "9466"]
    for none in ({}, {"FEEDBACK_METRICS_PORT": "0"}, {"FEEDBACK_METRICS_PORT": "http"}):
        assert metrics_port(none, 1) == {}


def test_whether_calls_need_a_key_is_said_by_those_that_no_opening_left_behind(tmp_path: Path) -> None:
    options = Options(8787, 8123, 9092, tmp_path, workers=1, partitions=4, broker="embedded")
    now = datetime.now(UTC)
    (_, valid), (_, revoked) = (new_key("default", ["admin"], now) for _ in range(2))
    keys = [valid, revoked.revoked(now)]
    setup = Setup(options, {})
    assert who_may_call(keys, setup) == "1 of 2 API keys is valid; every call needs one."
    for none in ([], reopening_records(keys, now)):
        assert who_may_call(none, setup).startswith("there is no API key, so the API is open to every program")
        must = Setup(options, {"FEEDBACK_REQUIRE_KEYS": "true"})
        assert who_may_call(none, must).startswith("every call needs an API key, and there is none")
    setup.closed_mark.touch()
    assert who_may_call([], setup).startswith("this API was closed by keys that are lost, as ")


ALIVE, SILENT, UNREADY = Check(True), Check(False), Check(True, "Kafka has been asked for nothing for 61 s")


def verdicts(checks: list[Check], seconds: float = 2.0, *, engines_answer: bool = True) -> list[str]:
    patience = Patience()
    patience.begin(0.0)
    return [patience.verdict(n * seconds, each, engines_answer=engines_answer) for n, each in enumerate(checks, 1)]


def first(found: list[str]) -> int:
    """How many checks it took."""
    return next((n for n, verdict in enumerate(found, 1) if verdict), 0)


def test_a_program_that_has_answered_and_falls_silent_is_ended_soon() -> None:
    found = verdicts([ALIVE, *[SILENT] * 30])
    assert 1 + SILENT_S / 2 < first(found) <= 3 + SILENT_S / 2
    assert found[first(found) - 1] == "it has answered no health check for 22 s"


def test_a_program_that_starts_may_take_a_minute_to_its_first_answer() -> None:
    assert FIRST_ANSWER_S / 2 < first(verdicts([SILENT] * 100)) <= 2 + FIRST_ANSWER_S / 2


def test_an_answer_in_between_begins_the_silence_anew() -> None:
    assert first(verdicts([ALIVE, *[SILENT] * 9, ALIVE] * 20)) == 0


def test_whoever_was_halted_itself_does_not_take_that_for_silence() -> None:
    assert first(verdicts([ALIVE, SILENT, SILENT], seconds=1000.0)) == 0
    assert first(verdicts([ALIVE, SILENT, SILENT, SILENT], seconds=1000.0)) == 4


def test_a_program_that_is_of_no_use_for_a_minute_is_ended_and_then_given_longer() -> None:
    patience, when = Patience(), []
    patience.begin(0.0)
    for second in range(1000):
        if verdict := patience.verdict(float(second), UNREADY, engines_answer=True):
            assert "although both engines answer: Kafka has been asked for nothing" in verdict
            when.append(second)
            patience.begin(float(second))
    assert when[0] == UNREADY_S + 1
    assert [round((b - a) / UNREADY_S) for a, b in pairwise(when)] == [2, 4, 8]


def test_a_program_that_waits_for_an_engine_is_left_alone() -> None:
    waits = Check(True, "insert fails", "clickhouse")
    assert first(verdicts([waits] * 1000)) == 0
    assert first(verdicts([UNREADY] * 1000, engines_answer=False)) == 0


def test_pauses_of_what_is_never_given_up_grow_to_a_minute() -> None:
    restarts = Restarts(most=1_000_000, window=600.0, longest=60.0)
    pauses = [restarts.pause_after(float(n)) for n in range(12)]
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert pauses[-2:] == [60.0, 60.0]


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (10**12, ""),
        (512_000_000, ""),
        (511_000_000, "nearly full (511 MB are left)"),
        (1_000_000, "is full (1 MB are left)"),
    ],
)
def test_little_and_no_room_on_the_disk_are_named(free: int, said: str) -> None:
    told = shortage(free, Path("/data"))
    assert said in told
    assert ("/data" in told) is bool(said)


def test_nothing_is_started_on_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refuse_full_disk(tmp_path)
    monkeypatch.setattr(checks, "free_bytes", lambda _: 1_000_000)
    with pytest.raises(CannotStartError, match=r"is full \(1 MB are left\): make room there, or .*--data-dir\.$"):
        refuse_full_disk(tmp_path)


def test_what_was_sent_since_a_crash_counts_from_the_crash_or_from_the_edges_start() -> None:
    earlier = AcknowledgedRecords(1, {("t", 0): 5, ("t", 1): 2})
    assert AcknowledgedRecords(1, {("t", 0): 7, ("t", 1): 2, ("t", 2): 1}).since(earlier) == {
        ("t", 0): 2, ("t", 1): 0, ("t", 2): 1,
    }  # fmt: skip
    assert AcknowledgedRecords(2, {("t", 0): 3}).since(earlier) == {("t", 0): 3}
    # What an earlier edge had sent comes before that.
    assert ends_of_lost_log({("t", 0): 5, ("t", 1): 2}, {("t", 0): 3, ("t", 2): 1}) == {
        ("t", 0): 8, ("t", 1): 2, ("t", 2): 1,
    }  # fmt: skip


def test_a_broker_that_cannot_be_put_anywhere_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALF_TANSU_BIN", raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("/proc"))
    with pytest.raises(BrokerUnavailableError, match=r"/proc.*set HOME to a folder of this user"):
        broker.command("127.0.0.1", 9092)
