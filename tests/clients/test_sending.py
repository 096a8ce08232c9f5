"""How a client sends: in bulk, again under one key, around what is refused, and never more than it may hold."""

import json
import logging
import threading

import pytest

from feedback_client import Client, Counts
from feedback_client.answers import MOST_FAILURES, Answer, pause_after, seconds_in
from feedback_client.items import feedback_item
from feedback_client.rare_log import RareLog
from tests.clients.conftest import MakeClient
from tests.clients.receiver import Failure, NoTime, Receiver


def give(client: Client, number: int) -> list[str]:
    return [client.feedback(1, trace_id=f"t{each}") for each in range(number)]


def test_feedback_and_logs_go_in_bulk_with_the_key_and_every_field(receiver: Receiver, make_client: MakeClient) -> None:
    client = make_client(api_key="fbk_x", linger_s=60.0)
    client.feedback(-3, 0.5, trace_id="t", text="too slow", user="u", organisation="o", prompt="p", environment="test")
    client.feedback(2, trace_id="t", metadata={"_user": "other", "plan": ["a", 1]})
    client.log(
        request={"url": "https://a/v1/chat/completions", "provider": "openai", "body": {"model": "m"}},
        response={"status": 200, "response_time": 840, "body": {"usage": {"total_tokens": 57}}},
        trace_id="t",
        span_id="s",
        cost=0.3,
        user="u",
    )
    assert client.flush(30)
    assert sorted(path for path, *_ in receiver.calls) == ["/v1/feedback", "/v1/logs"]
    assert {headers["x-portkey-api-key"] for _, headers, _ in receiver.calls} == {"fbk_x"}
    first, second, logged = sorted(receiver.events.values(), key=lambda event: (event["event"], event.get("value", 0)))
    assert (first["value"], first["weight"], first["trace_id"]) == (-3, 0.5, "t")
    assert first["metadata"] == {
        "comment": "too slow", "_user": "u", "_organisation": "o", "_prompt": "p", "_environment": "test"
    }  # fmt: skip
    assert (second["_user"], second["metadata"]["plan"]) == ("other", ["a", 1])
    told = (logged["model"], logged["total_tokens"], logged["response_time_ms"], logged["span_id"], logged["_user"])
    assert told == ("m", 57, 840, "s", "u")
    assert client.counts == Counts(queued=3, sent=3)


def test_a_call_is_repeated_under_its_key_until_it_is_taken_and_is_stored_once(
    receiver: Receiver, make_client: MakeClient, clock: NoTime
) -> None:
    receiver.failures.extend(
        [
            Failure(503, {"retry-after": "7"}),
            Failure(429, {"retry-after": "40"}),
            Failure(500, after_storing=True),
            Failure(502),
        ]
    )
    client = make_client(linger_s=60.0)
    give(client, 3)
    assert client.flush(30)
    assert len(receiver.calls) == 5
    assert len(set(receiver.keys)) == 1
    assert len({body for *_, body in receiver.calls}) == 1
    assert receiver.trace_ids == ["t0", "t1", "t2"]
    assert client.counts == Counts(queued=3, sent=3, retried=4)
    assert [least <= wait <= most for wait, (least, most) in zip(
        clock.waits, [(7.25, 7.5), (40.5, 41), (1, 2), (2, 4)], strict=True
    )] == [True] * 4  # fmt: skip


def test_a_call_that_the_server_fails_on_each_time_is_given_up_and_what_is_behind_it_is_sent(
    receiver: Receiver, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(linger_s=60.0)
    receiver.failures.extend([Failure(500)] * MOST_FAILURES)
    give(client, 3)
    assert client.flush(30)
    client.feedback(1, trace_id="behind")
    assert client.flush(30)
    assert receiver.trace_ids == ["behind"]
    assert client.counts == Counts(queued=4, sent=1, dropped=3, retried=MOST_FAILURES - 1)
    assert f"the server failed on a call to /v1/feedback {MOST_FAILURES} times, and it is given up: 500" in caplog.text


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_away_is_tried_for_as_long_as_it_takes(
    receiver: Receiver, make_client: MakeClient, status: int
) -> None:
    client = make_client(linger_s=60.0)
    receiver.failures.extend([*[Failure(status)] * (2 * MOST_FAILURES), Failure(500)])
    give(client, 3)
    assert client.flush(30)
    assert client.counts == Counts(queued=3, sent=3, retried=2 * MOST_FAILURES + 1)


def test_pauses_grow_to_half_a_minute_and_are_spread() -> None:
    nothing = Answer(0, "")
    assert [pause_after(attempt, nothing, 1.0) for attempt in (0, 1, 5, 6, 1000)] == [0.5, 1, 16, 30, 30]
    assert pause_after(6, nothing, 0.0) == 15
    assert [seconds_in(each) for each in ("3", "", "soon", "-1", "9" * 9)] == [3, 0, 0, 0, 0]


def test_what_is_refused_takes_nothing_else_along(
    receiver: Receiver, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(linger_s=60.0)
    give(client, 9)
    # Past the client's own checks, as a server with lower limits would see it.
    bad = feedback_item("bad", 1, 1, {})
    client._put(type(bad)(bad.path, bad.body.replace(b'"value":1', b'"value":11')))
    client.feedback(1, trace_id="last")
    assert client.flush(30)
    assert sorted(receiver.trace_ids) == sorted([*(f"t{each}" for each in range(9)), "last"])
    assert client.counts == Counts(queued=11, sent=10, refused=1)
    assert "value must be an integer from -10 to 10, got 11" in caplog.text
    assert len(set(receiver.keys)) == len(receiver.keys), "another body came under a key that was used"


def test_a_wrong_key_refuses_all_in_one_call(receiver: Receiver, make_client: MakeClient) -> None:
    receiver.failures.append(Failure(401))
    client = make_client(linger_s=60.0)
    give(client, 5)
    assert client.flush(30)
    assert len(receiver.calls) == 1
    assert client.counts == Counts(queued=5, refused=5)


def test_a_full_queue_drops_the_newest_and_says_so_once(
    receiver: Receiver, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    by_number = make_client(max_items=3, linger_s=60.0)
    give(by_number, 5)
    one = len(feedback_item("t0", 1, 1.0, {}).body)
    by_bytes = make_client(max_bytes=2 * one, linger_s=60.0)
    give(by_bytes, 3)
    assert by_number.flush(30)
    assert by_bytes.flush(30)
    assert by_number.counts == Counts(queued=3, sent=3, dropped=2)
    assert by_bytes.counts == Counts(queued=2, sent=2, dropped=1)
    assert receiver.trace_ids == ["t0", "t1", "t2", "t0", "t1"]
    assert caplog.text.count("an item was dropped") == 2, "once for each client"
    give(by_number, 3)
    assert by_number.counts.queued == 6, "there is room again"


def test_a_warning_comes_once_a_minute_and_says_what_it_stands_for(
    clock: NoTime, caplog: pytest.LogCaptureFixture
) -> None:
    warnings = RareLog(clock)
    for seconds in (0, 30, 29, 1):
        clock.wait(threading.Event(), seconds)
        warnings.warn("full", 2)
    assert [record.getMessage() for record in caplog.records] == [
        "full (2 since the last such warning)",
        "full (6 since the last such warning)",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_server_that_is_killed_and_comes_back_has_every_item_once(receiver: Receiver) -> None:
    class Outage(NoTime):
        """The server comes back after the third attempt in vain."""

        in_vain = 0

        def wait(self, event: threading.Event, seconds: float) -> bool:
            self.in_vain += not receiver.is_running
            if self.in_vain == 3:
                receiver.start()
                self.in_vain = 0
            return super().wait(event, seconds)

    client = Client(receiver.url, clock=Outage(), linger_s=0.0)
    given = give(client, 20)
    assert client.flush(30)
    receiver.failures.append(Failure(503, after_storing=True))
    receiver.failures.append(Failure(503))
    receiver.failures.append(Failure(503))
    given += [client.feedback(1, trace_id=f"lost-answer-{each}") for each in range(5)]
    assert client.flush(30)
    receiver.stop()
    given += [client.feedback(1, trace_id=f"later-{each}") for each in range(20)]
    assert client.flush(30)
    client.close()
    assert sorted(receiver.trace_ids) == sorted(given)
    assert client.counts.sent == len(given) == client.counts.queued


def test_a_closed_client_drops_and_raises_nothing(
    receiver: Receiver, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.stop()

    class Endless(NoTime):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            return event.wait(60)

    client = make_client(clock=Endless())
    give(client, 4)
    client.close(0.05)
    give(client, 2)
    assert client.counts.queued == 4
    assert client.counts.dropped == 6
    assert "the client was closed" in caplog.text


async def test_an_event_loop_flushes_without_standing_still(receiver: Receiver, make_client: MakeClient) -> None:
    client = make_client(linger_s=60.0)
    give(client, 2)
    assert await client.aflush(30)
    assert receiver.trace_ids == ["t0", "t1"]


def test_many_threads_may_give_feedback_at_once(receiver: Receiver, make_client: MakeClient) -> None:
    client = make_client()

    def give_fifty(name: str) -> None:
        for each in range(50):
            client.feedback(1, trace_id=f"{name}-{each}")

    threads = [threading.Thread(target=give_fifty, args=(f"thread-{each}",)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(30)
    assert len(set(receiver.trace_ids)) == len(receiver.trace_ids) == 400
    assert all(len(json.loads(body)) <= 500 for *_, body in receiver.calls)
