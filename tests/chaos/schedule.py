"""What goes wrong, and when: a list of actions that a seed decides, or a file."""

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.chaos.removal import Removal
from tests.chaos.system import SESSION_TIMEOUT_S, System, Watched

Step = Callable[[], object]


class Action(NamedTuple):
    """One thing that goes wrong: `which` picks among several of a kind, `for_s` is how long it stays so.

    A kind such as "stop clickhouse + kill workers" is two: the second comes when the first has lasted `for_s` seconds,
    lasts as long, and is mended first.
    """

    kind: str
    which: int
    for_s: float
    then_wait_s: float


KINDS = (
    "kill edge", "kill worker", "kill broker", "kill clickhouse", "stop clickhouse", "freeze worker", "worker joins",
    "worker leaves", "cut kafka", "cut clickhouse", "stall kafka", "stall clickhouse", "kill rollup", "refuse rows",
    "refuse rows + kill workers", "stop clickhouse + kill workers", "stall kafka + kill edges",
    "remove traces", "remove traces + kill workers", "remove traces + kill clickhouse",
)  # fmt: skip
_AT_ONCE = (0.0, 0.0)
_LONGER_THAN_COMMITS = (2.0, 3.0)
SECONDS = {
    "freeze worker": (SESSION_TIMEOUT_S + 1, SESSION_TIMEOUT_S + 5),
    "stop clickhouse": (6.0, 6.0),
    **dict.fromkeys(("kill clickhouse", "worker joins", "worker leaves", "cut kafka", "cut clickhouse"), _AT_ONCE),
    **dict.fromkeys((kind for kind in KINDS if "+" in kind), _LONGER_THAN_COMMITS),
}
"""How long each kind lasts, least and most; of the others 0.2 to 4."""


def schedule(seed: int, rounds: float) -> list[Action]:
    """Each kind `rounds` times, in an order of the seed's; where that is no whole number, some of them once more."""
    chance = random.Random(seed)
    whole, rest = divmod(round(rounds * len(KINDS)), len(KINDS))
    kinds = [*KINDS * whole, *chance.sample(KINDS, rest)]
    chance.shuffle(kinds)
    return [
        Action(
            kind,
            chance.randrange(1000),
            round(chance.uniform(*SECONDS.get(kind, (0.2, 4))), 1),
            round(chance.uniform(0.2, 2.5), 1),
        )
        for kind in kinds
    ]


def load(file: Path) -> list[Action]:
    """A schedule from a file: a JSON list of [kind, which, for_s, then_wait_s]."""
    return [Action(*each) for each in json.loads(file.read_text())]


def carry_out(system: System, actions: list[Action], say: Callable[[str], None]) -> None:
    """One action after the other; the system is mended after each."""
    begun = time.monotonic()
    for number, action in enumerate(actions, 1):
        say(f"{time.monotonic() - begun:6.1f} s  {number:>3}/{len(actions)}  {action.kind} ({action.for_s} s)")
        _harm(system, action)
        system.revive()
        _wait(system, action.then_wait_s)


def _harm(system: System, action: Action) -> None:
    with ExitStack() as mended:
        for kind in action.kind.split(" + "):
            harm, mend = _trouble(system, kind, action.which)
            harm()
            mended.callback(mend)
            _wait(system, action.for_s)


def _trouble(system: System, kind: str, which: int) -> tuple[Step, Step]:
    """What brings this trouble, and what ends it."""
    edge, worker = system.edges[which % len(system.edges)], system.workers[which % len(system.workers)]
    match kind:
        case "kill edge":
            return edge.go_down, edge.come_back
        case "kill edges":
            return _all_at_once(system.edges)
        case "kill worker":
            return worker.go_down, worker.come_back
        case "kill workers":
            return _all_at_once([each for each in system.workers if each.wanted])
        case "kill broker":
            return system.broker.kill, system.broker.start
        case "kill clickhouse" | "stop clickhouse":
            return system.clickhouse.go_down, system.clickhouse.come_back
        case "refuse rows":
            return partial(system.refuse_rows, which), system.take_rows
        case "freeze worker":
            return worker.freeze, worker.thaw
        case "worker joins":
            return system.join_worker, _nothing
        case "worker leaves":
            others = sum(each.wanted for each in system.workers if each is not worker)
            return worker.leave if others and worker.wanted else _nothing, _nothing
        case "cut kafka":
            return system.kafka_proxy.cut, _nothing
        case "cut clickhouse":
            return system.clickhouse_proxy.cut, _nothing
        case "stall kafka":
            return system.kafka_proxy.stall, system.kafka_proxy.flow
        case "stall clickhouse":
            return system.clickhouse_proxy.stall, system.clickhouse_proxy.flow
        case "remove traces":
            removal = Removal(system)
            return removal.start, removal.join
        case "kill rollup":
            return system.rollup.go_down, system.rollup.come_back
    raise ValueError(f"{kind!r} is nothing that can go wrong: {', '.join(KINDS)}")


def _all_at_once(programs: Sequence[Watched]) -> tuple[Step, Step]:
    return lambda: [each.go_down() for each in programs], lambda: [each.come_back() for each in programs]


def _nothing() -> None:
    pass


def _wait(system: System, seconds: float) -> None:
    """Time in which trouble lasts or passes, with a supervisor at work; the length is the schedule's, not a guess."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        system.revive()
        time.sleep(0.1)
