"""The queue of a client: what goes together, what goes first, and when it is empty."""

from feedback_client.items import FEEDBACK_PATH, LOGS_PATH, Item
from feedback_client.send_queue import SendQueue


def feedback(name: str) -> Item:
    return Item(FEEDBACK_PATH, name.encode())


def log(name: str) -> Item:
    return Item(LOGS_PATH, name.encode())


def queue_of(*items: Item, bulk_items: int = 2, bulk_bytes: int = 100) -> SendQueue:
    queue = SendQueue(100, 1_000, 0.0, bulk_items, bulk_bytes)
    assert all(queue.put(item) for item in items)
    return queue


def taken(queue: SendQueue, calls: int) -> list[list[bytes]]:
    return [[item.body for item in queue.take() or []] for _ in range(calls)]


def test_feedback_and_logs_take_turns_so_that_neither_waits_for_the_other() -> None:
    queue = queue_of(*map(log, "abcdef"), feedback("1"), feedback("2"), feedback("3"))
    assert taken(queue, 5) == [[b"1", b"2"], [b"a", b"b"], [b"3"], [b"c", b"d"], [b"e", b"f"]]


def test_a_call_has_as_many_bytes_as_it_may_and_a_larger_item_goes_alone() -> None:
    queue = queue_of(*map(feedback, ("x" * 60, "y" * 40, "z" * 200, "w")), bulk_items=10)
    assert [list(map(len, bulk)) for bulk in taken(queue, 3)] == [[60, 40], [200], [1]]


def test_it_is_flushed_when_all_of_both_kinds_is_settled_and_not_before() -> None:
    queue = queue_of(feedback("1"), log("a"), log("b"))
    assert queue.flush(0) is False
    first = queue.take()
    second = queue.take()
    assert first
    assert second
    queue.settle(first, sent=True)
    assert queue.flush(0) is False
    queue.settle(second, refused=True)
    assert queue.flush(0) is True


def test_room_is_made_by_what_is_settled_not_by_what_is_taken() -> None:
    queue = SendQueue(1, 1_000, 0.0)
    assert queue.put(feedback("1"))
    bulk = queue.take()
    assert bulk
    assert not queue.put(feedback("2")), "what is being sent is still in memory"
    queue.settle(bulk, sent=True)
    assert queue.put(feedback("3"))
