"""The collector looks when memory has grown, and what a cycle holds is then free."""

import gc
from collections.abc import Iterator

import pytest

from runtime.garbage_collection import MemoryWatch, resident_bytes

MB = 1 << 20


class Memory:
    """A process whose collector gives back what is `garbage`."""

    def __init__(self, used: int) -> None:
        self.used, self.garbage, self.collections = used, 0, 0

    @property
    def resident(self) -> int:
        return self.used + self.garbage

    def collect(self) -> None:
        self.garbage, self.collections = 0, self.collections + 1


def watched(memory: Memory) -> MemoryWatch:
    return MemoryWatch(lambda: memory.resident, memory.collect)


def test_memory_that_stays_as_it_is_is_not_looked_through() -> None:
    memory = Memory(100 * MB)
    watch = watched(memory)
    for used in (100, 160, 101, 161, 99, 160) * 10:
        memory.used = used * MB
        watch.collect_if_grown()
    assert memory.collections == 0


def test_garbage_never_becomes_much_more_than_the_growth_that_is_let_pass() -> None:
    memory = Memory(100 * MB)
    watch = watched(memory)
    most = 0
    for _ in range(1000):
        memory.garbage += 10 * MB
        most = max(most, memory.garbage)
        watch.collect_if_grown()
    assert most <= 74 * MB
    assert 100 < memory.collections < 200


def test_memory_that_is_in_use_is_looked_through_once() -> None:
    memory = Memory(100 * MB)
    watch = watched(memory)
    memory.used = 1000 * MB
    for _ in range(10):
        watch.collect_if_grown()
    memory.used = 1200 * MB
    watch.collect_if_grown()
    assert memory.collections == 1, "a quarter more is needed"
    memory.used = 1300 * MB
    watch.collect_if_grown()
    assert memory.collections == 2


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(not resident_bytes(), reason="the system does not say how much memory a process has")
@pytest.mark.usefixtures("_no_collector")
def test_what_cycles_hold_is_given_back() -> None:
    watch, before, most = MemoryWatch(), resident_bytes(), 0
    for _ in range(100):
        itself: list[object] = [bytearray(5 * MB)]
        itself.append(itself)
        del itself
        watch.collect_if_grown()
        most = max(most, resident_bytes())
    assert most - before < 150 * MB + before // 4
