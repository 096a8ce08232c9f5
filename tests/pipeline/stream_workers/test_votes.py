"""A voter's vote is one feedback: a later vote takes its place, an undo takes it out, and a vote brings it back."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import requests

from ingest_api.records import Accepted
from ingest_api.settings import Settings
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.vote import undo, vote
from schemas.ids import partition_of
from schemas.vote_tokens import VoteClaims
from tests.pipeline.engines import PARTITIONS, until
from tests.pipeline.running import Pipeline


class Voter:
    """Somebody with a token, whose votes are published past the edge, where the shared pipeline has no keys."""

    def __init__(self, pipeline: Pipeline, trace: str) -> None:
        self.pipeline = pipeline
        self.claims = VoteClaims(trace_id=trace, expires_at=0, values=(-1, 0, 1), weight=0.5, voter="v",
                                 metadata={"_user": "v"})  # fmt: skip

    def vote(self, body: bytes) -> str:
        return self._publish(lambda call: vote(body, {}, self.claims, call, Settings().limits))

    def undo(self) -> str:
        return self._publish(lambda call: undo({}, self.claims, call))

    def _publish(self, decide: Callable[[CallContext], Accepted]) -> str:
        accepted = decide(CallContext("default", time.time_ns() // 1_000_000))
        (record,) = accepted.records
        self.pipeline.produce(record.topic, partition_of(record.trace_hash, PARTITIONS), record.value)
        return accepted.ids[0]


def test_a_voter_has_one_vote_that_can_be_changed_taken_back_and_given_again(pipeline: Pipeline) -> None:
    trace = f"trace-{uuid.uuid4()}"
    voter = Voter(pipeline, trace)

    def has_value(value: int | None) -> bool:
        row = pipeline.stored(identity)
        return (row.get("value") if row else None) == value

    def read_trace() -> Any:
        return requests.get(f"{pipeline.url}/v1/traces/{trace}", timeout=30).json()

    identity = voter.vote(b'{"value":1}')
    until(lambda: has_value(1), "the vote is stored")
    assert voter.vote(b'{"value":-1,"comment":"on second thoughts"}') == identity
    until(lambda: has_value(-1), "the second vote has taken its place")
    assert pipeline.aggregate(trace)["feedback_count"] == 1
    assert float(pipeline.aggregate(trace)["value_weight_sum"]) == -0.5
    pipeline.request(trace, "m1")
    assert voter.undo() == identity
    until(lambda: has_value(None), "the vote is taken back")
    until(lambda: pipeline.aggregate(trace)["feedback_count"] == 0, "it counts no more")
    voter.undo()
    assert voter.vote(b'{"value":0}') == identity
    until(lambda: has_value(0), "the vote is given again")
    row = pipeline.stored(identity)
    assert (row["models"], row["_user"], float(row["weight"])) == (["m1"], "v", 0.5)
    until(lambda: pipeline.aggregate(trace)["value_last"] == 0, "it counts again")
    assert pipeline.aggregate(trace)["feedback_count"] == 1
    (feedback,) = read_trace()["feedback"]["data"]
    assert [(each["event"], each["value"]) for each in feedback["history"]] == [
        ("create", 1), ("update", -1), ("delete", None), ("update", 0),
    ]  # fmt: skip
    letters = pipeline.sql("SELECT * FROM feedback.dead_letters WHERE feedback_id = {id:String}", id=identity)
    assert letters == []
