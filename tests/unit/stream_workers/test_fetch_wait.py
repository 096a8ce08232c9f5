"""How long a broker may hold a worker's fetch: briefly while records come, longer in a silence."""

from hypothesis import given
from hypothesis import strategies as st

from stream_workers.batches.batch_transport import fetch_wait_ms


def test_a_fetch_is_held_briefly_while_records_come_and_a_quarter_of_a_second_in_a_silence() -> None:
    assert [fetch_wait_ms(silent_s) for silent_s in (0, 1, 2, 5, 3600)] == [50, 50, 100, 250, 250]


@given(st.floats(0, 1e9))
def test_a_record_waits_a_twentieth_of_the_silence_before_it_at_most(silent_s: float) -> None:
    assert fetch_wait_ms(silent_s) <= max(50, silent_s * 1000 / 20)
