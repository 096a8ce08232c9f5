"""What goes wrong, and when: a list of actions that a seed decides, or a file."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.chaos.system import SESSION_TIMEOUT_S, System


class Action(NamedTuple):
    """One thing that goes wrong: `which` picks among several of a kind, `for_s` is how long it stays so."""

    kind: str
    which: int
    for_s: float
    then_wait_s: float


KINDS = (
    "kill edge", "kill worker", "kill broker", "kill clickhouse", "stop clickhouse", "freeze worker", "worker joins",
    "worker leaves", "cut kafka", "cut clickhouse", "stall kafka", "stall clickhouse", "kill rollup",
)  # fmt: skip


def schedule(seed: int, rounds: int) -> list[Action]:
    """Each kind `rounds` times, in an order of the seed's."""
    chance = random.Random(seed)
    kinds = list(KINDS) * rounds
    chance.shuffle(kinds)
    return [
        Action(
            kind,
            chance.randrange(1000),
            round(chance.uniform(SESSION_TIMEOUT_S + 1, SESSION_TIMEOUT_S + 5), 1)
            if kind == "freeze worker"
            else round(chance.uniform(0.2, 4), 1),
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
    worker = system.workers[action.which % len(system.workers)]
    match action.kind:
        case "kill edge":
            _down(system, system.edges[action.which % 2].go_down, system.edges[action.which % 2].come_back, action)
        case "kill worker":
            _down(system, worker.go_down, worker.come_back, action)
        case "kill broker":
            _down(system, system.broker.kill, system.broker.start, action)
        case "kill clickhouse":
            _down(system, system.clickhouse.go_down, system.clickhouse.come_back, action._replace(for_s=0))
        case "stop clickhouse":
            _down(system, system.clickhouse.go_down, system.clickhouse.come_back, action._replace(for_s=6))
        case "freeze worker":
            _down(system, worker.freeze, worker.thaw, action)
        case "worker joins":
            system.join_worker()
        case "worker leaves":
            if sum(each.wanted for each in system.workers) > 1 and worker.wanted:
                worker.leave()
        case "cut kafka":
            system.kafka_proxy.cut()
        case "cut clickhouse":
            system.clickhouse_proxy.cut()
        case "stall kafka":
            _down(system, system.kafka_proxy.stall, system.kafka_proxy.flow, action)
        case "stall clickhouse":
            _down(system, system.clickhouse_proxy.stall, system.clickhouse_proxy.flow, action)
        case "kill rollup":
            _down(system, system.rollup.go_down, system.rollup.come_back, action)
        case unknown:
            raise ValueError(f"{unknown!r} is nothing that can go wrong: {', '.join(KINDS)}")


def _down(system: System, harm: Callable[[], None], mend: Callable[[], None], action: Action) -> None:
    harm()
    _wait(system, action.for_s)
    mend()


def _wait(system: System, seconds: float) -> None:
    """Time in which trouble lasts or passes, with a supervisor at work; the length is the schedule's, not a guess."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        system.revive()
        time.sleep(0.1)
