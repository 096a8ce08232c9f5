"""Turns the calls of the week into records for Kafka, with the code of the edge, as if each call had just come in."""

import json
from collections.abc import Sequence

from deploy.demo.calls import ApiCall
from ingest_api.records import Accepted
from ingest_api.settings import BodyLimits
from ingest_api.validation import feedback, request_log
from ingest_api.validation.feedback import CallContext
from operations.produce import OutgoingRecord


def records_of(calls: Sequence[ApiCall], workspace: str, limits: BodyLimits) -> list[OutgoingRecord]:
    """The events, in the order of the calls. ApiError if the edge would refuse one.

    Events have the times of the calls. Records have the present time, because Kafka would delete older ones.
    """
    ids: dict[int, str] = {}
    records: list[OutgoingRecord] = []
    for call in calls:
        accepted = _decide(call, ids, CallContext(workspace, int(call.at.timestamp() * 1000)), limits)
        if call.kind == "create":
            (ids[call.feedback],) = accepted.ids
        records += [OutgoingRecord(each.topic, each.trace_hash, each.key, each.value) for each in accepted.records]
    return records


def _decide(call: ApiCall, ids: dict[int, str], caller: CallContext, limits: BodyLimits) -> Accepted:
    body = json.dumps(call.body).encode()
    match call.kind:
        case "log":
            return request_log.log(body, {}, caller, limits)
        case "create":
            return feedback.create(body, {}, caller, limits)
        case "update":
            return feedback.update(ids[call.feedback], body, caller, limits)
        case "delete":
            return feedback.delete(ids[call.feedback], caller)
