"""Logs never hold up or break a call: what cannot be written or finds no room is counted."""

from typing import Any

import pytest

from feedback_client import Client
from gateway.call_record import CallOutcome, CallRecord, HeldBytes
from gateway.call_trace import CallTrace
from gateway.log_queue import LogQueue
from gateway.request_log import LogRules
from runtime.harmless_names import HarmlessNames
from tests.clients.receiver import Receiver, receiving

RULES = LogRules(1_000_000, HarmlessNames())


def record(held: HeldBytes, trace: str = "t", headers: Any = ()) -> CallRecord:
    made = CallRecord("POST", "http://host/v1", "p", CallTrace(trace), list(headers), held, 1_000)
    made.request_body.add(b'{"model": "m"}')
    made.end(CallOutcome.COMPLETE)
    return made


@pytest.fixture
def receiver() -> Any:
    with receiving() as running:
        yield running


def test_what_finds_no_room_is_dropped_counted_and_let_go(receiver: Receiver) -> None:
    held = HeldBytes(1_000_000)
    logs = LogQueue(Client(receiver.url), RULES, most=2)
    for _ in range(5):
        logs.put(record(held))
    assert logs.counts["dropped",] == 3
    assert held.held == 2 * len(b'{"model": "m"}')
    logs.start()
    logs.stop(5.0)
    assert (logs.counts["sent",], held.held, len(receiver.events)) == (2, 0, 2)


def test_a_log_that_cannot_be_written_is_counted_and_the_next_is_sent(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    held = HeldBytes(1_000_000)
    logs = LogQueue(Client(receiver.url), RULES)
    logs.put(record(held, "x" * 600))
    logs.put(record(held, "broken", headers=[None]))
    logs.put(record(held, "next"))
    logs.start()
    logs.stop(5.0)
    assert (logs.counts["refused",], receiver.trace_ids, held.held) == (2, ["next"], 0)
    assert "could not be written" in caplog.text
    assert "trace_id must have 1 to 512 characters" in caplog.text
