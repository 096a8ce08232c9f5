"""Words for the state of the pipeline: whether it is stuck, and where. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

STALLED_AFTER_S = 15.0
"""A group that has not moved for this long although records wait is called stuck. A commit may take seconds."""
_PROGRAMS = {"rollup.touches.v1": "Rollups"}


class PipelineVerdict(NamedTuple):
    """A sentence about the pipeline, and its tone."""

    tone: Literal["good", "even", "bad"]
    text: str


class TopicLag(NamedTuple):
    """The lag of one group in all partitions of a topic."""

    program: str
    group: str
    topic: str
    partitions: list[Mapping[str, Any]]

    @property
    def written(self) -> int:
        return sum(each["end_offset"] for each in self.partitions)

    @property
    def seen(self) -> int:
        return self.written - self.lag

    @property
    def lag(self) -> int:
        return sum(each["lag"] for each in self.partitions)

    @property
    def stalled_s(self) -> float:
        return max((each["stalled_s"] for each in self.partitions), default=0.0)

    @property
    def is_stuck(self) -> bool:
        return self.stalled_s >= STALLED_AFTER_S


def topics(status: Mapping[str, Any]) -> list[TopicLag]:
    """The lags by group and topic, in the order of the API."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in status["partitions"]:
        found.setdefault((each["group"], each["topic"]), []).append(each)
    return [TopicLag(_PROGRAMS.get(topic, "Workers"), group, topic, parts) for (group, topic), parts in found.items()]


def verdicts(status: Mapping[str, Any]) -> list[PipelineVerdict]:
    """The sentences about the pipeline, the worst first."""
    return sorted(_verdicts(status), key=lambda each: ("bad", "even", "good").index(each.tone))


def _verdicts(status: Mapping[str, Any]) -> Iterable[PipelineVerdict]:
    by_topic = topics(status)
    for each in (one for one in by_topic if one.is_stuck):
        yield PipelineVerdict(
            "bad",
            f"Stuck: {each.program.lower()} have not moved on {each.topic} for {each.stalled_s:,.0f} s although"
            f" {_waiting(each.lag)}. See whether they run and what they log.",
        )
    if status["lost"]:
        yield PipelineVerdict(
            "bad",
            f"{_records(status['lost'])} lost: gone from Kafka before a worker read them. `feedback audit` says which;"
            " it is shown here until somebody acknowledges it there.",
        )
    audit = status["checks"]["audit"]
    if audit and audit["differences"]:
        yield PipelineVerdict(
            "bad", f"The last audit found {_records(audit['differences'])} that are not where they should be."
        )
    waiting = sum(each.lag for each in by_topic if not each.is_stuck)
    if waiting:
        yield PipelineVerdict("even", f"{_waiting(waiting)} for a worker{_time_left(status, waiting)}.")
    elif not any(each.lag for each in by_topic):
        yield PipelineVerdict("good", "Nothing is stuck. Everything that was accepted has been seen through.")


def _time_left(status: Mapping[str, Any], waiting: int) -> str:
    rates = status["rates"]
    if not rates or rates["stored_per_s"] <= 0:
        return ""
    gained = rates["stored_per_s"] - rates["accepted_per_s"]
    if gained <= 0:
        return "; what comes in is as much as what is stored"
    return f"; at this rate for about {max(1, round(waiting / gained)):,} s"


def _waiting(number: int) -> str:
    return f"{_records(number)} {'waits' if number == 1 else 'wait'}"


def _records(number: int) -> str:
    return "1 record" if number == 1 else f"{number:,} records"
