"""What `feedback up` decides without any engine: pauses, offset bases, what is left, which ports will not do."""

import pytest

from deploy.up_checks import CannotStartError, refuse_taken_ports
from deploy.up_offsets import GAP, offset_base, records_left
from deploy.up_options import metrics_port
from schemas.restarts import Restarts
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


def test_each_program_serves_metrics_on_a_port_of_its_own_where_any_does() -> None:
    given = {"FEEDBACK_METRICS_PORT": "9464"}
    assert [metrics_port(given, number)["FEEDBACK_METRICS_PORT"] for number in range(3)] == ["9464", "9465", "9466"]
    for none in ({}, {"FEEDBACK_METRICS_PORT": "0"}, {"FEEDBACK_METRICS_PORT": "http"}):
        assert metrics_port(none, 1) == {}
