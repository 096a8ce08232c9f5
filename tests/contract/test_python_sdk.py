"""Portkey's Python SDK, unmodified, by base URL alone."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ingest_api.settings import Settings
from schemas.ids import new_id, trace_key
from schemas.murmur2 import murmur2
from tests.contract.conftest import RowOf
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

if TYPE_CHECKING:
    from portkey_ai import Portkey

SPECIALS = {"_user": "fef653", "_organisation": "o9876", "_prompt": "test_prompt", "_environment": "production"}
FREE_TEXT = {"text": "ü" * 300, "nested": {"list": [1, 2.5, None, True], "object": {"deep": "er"}}}


@pytest.fixture(scope="module")
def portkey(pipeline: Pipeline) -> "Portkey":
    from portkey_ai import Portkey

    return Portkey(api_key="any", base_url=f"{pipeline.url}/v1")


CREATES: dict[str, tuple[dict[str, Any], int, str, dict[str, Any]]] = {
    "value alone": ({"value": 5}, 5, "1", {}),
    "thumbs down": ({"value": 0}, 0, "1", {}),
    "value as a numeric string": ({"value": "7"}, 7, "1", {}),
    "lowest": ({"value": -10, "weight": 0}, -10, "0", {}),
    "highest": ({"value": 10, "weight": 1}, 10, "1", {}),
    "fine weight": ({"value": 1, "weight": 0.123456789}, 1, "0.123456789", {}),
    "weight as a numeric string": ({"value": 1, "weight": "0.25"}, 1, "0.25", {}),
    "weight None": ({"value": 1, "weight": None}, 1, "1", {}),
    "metadata None": ({"value": 1, "metadata": None}, 1, "1", {}),
    "metadata empty": ({"value": 1, "metadata": {}}, 1, "1", {}),
    "special fields": ({"value": -3, "weight": 0.5, "metadata": SPECIALS}, -3, "0.5", SPECIALS),
    "metadata as a JSON string": ({"value": 1, "metadata": json.dumps(SPECIALS)}, 1, "1", SPECIALS),
    "metadata long and nested": ({"value": 1, "metadata": FREE_TEXT}, 1, "1", FREE_TEXT),
}
"""What is sent, and the value, the weight and the metadata that are stored."""


def test_what_create_sends_is_stored(portkey: "Portkey", stored: RowOf, trace: str) -> None:
    ids = {}
    for name, (sent, *_) in CREATES.items():
        reply = portkey.feedback.create(trace_id=f"{trace} {name}", **sent)
        assert (reply.status, reply.message) == ("success", "Feedback successfully saved")
        (ids[name],) = reply.feedback_ids or []
    for name, (_, value, weight, metadata) in CREATES.items():
        row = stored(ids[name])
        assert (row["trace_id"], row["value"], row["weight"]) == (f"{trace} {name}", value, Decimal(weight))
        assert json.loads(row["metadata"]) == metadata, name
        for special in SPECIALS:
            assert row[special] == metadata.get(special, ""), name


def test_bulk_create_answers_ids_in_order(portkey: "Portkey", stored: RowOf, trace: str) -> None:
    feedbacks = [{"trace_id": f"{trace}-{n}", "value": n, "weight": n / 10} for n in range(11)]
    reply = portkey.feedback.bulk_create(feedbacks=feedbacks)
    rows = [stored(feedback_id) for feedback_id in reply.feedback_ids or []]
    assert [row["trace_id"] for row in rows] == [sent["trace_id"] for sent in feedbacks]
    assert [row["value"] for row in rows] == [sent["value"] for sent in feedbacks]
    assert [float(row["weight"]) for row in rows] == [sent["weight"] for sent in feedbacks]


def test_bulk_create_takes_every_spelling_and_an_object_of_positions(
    portkey: "Portkey", stored: RowOf, trace: str
) -> None:
    feedbacks: list[dict[str, Any]] = [
        {"traceID": f"{trace}-0", "value": "1", "weight": None},
        {"traceId": f"{trace}-1", "value": 2, "weight": "0.5"},
        {"trace-id": f"{trace}-2", "value": 3.0, "metadata": '{"_user": "fef653"}'},
    ]
    positions: Any = {str(n): each for n, each in enumerate(feedbacks)}
    for sent in (feedbacks, positions):
        rows = [stored(each) for each in portkey.feedback.bulk_create(feedbacks=sent).feedback_ids or []]
        assert [row["trace_id"] for row in rows] == [f"{trace}-{n}" for n in range(3)]
        assert [row["value"] for row in rows] == [1, 2, 3]
        assert [float(row["weight"]) for row in rows] == [1, 0.5, 1]
        assert [row["_user"] for row in rows] == ["", "", "fef653"]


@pytest.mark.parametrize("metadata", [None, {"_user": "u"}])
def test_update_with_null_keeps_what_is_stored(
    pipeline: Pipeline, portkey: "Portkey", stored: RowOf, trace: str, metadata: dict[str, str] | None
) -> None:
    sent: dict[str, Any] = {"weight": 0.25, "metadata": metadata or {"_user": "u"}}
    (feedback_id,) = portkey.feedback.create(trace_id=trace, value=5, **sent).feedback_ids or []
    portkey.feedback.update(feedback_id=feedback_id, value="-3", weight=None, metadata=metadata)
    until(lambda: pipeline.stored(feedback_id).get("value") == -3, "the update is stored")
    row = stored(feedback_id)
    assert (row["weight"], json.loads(row["metadata"])) == (Decimal("0.25"), {"_user": "u"})


@pytest.mark.parametrize("feedback_id", ["", "undefined", "None", "0b6ff5c2-5a3c-4f0e-9d3f-2f4f6f1d7c11", "a/b", "%00"])
def test_update_of_an_id_that_cannot_be_is_not_found_at_once(portkey: "Portkey", feedback_id: str) -> None:
    from portkey_ai.api_resources.exceptions import APIStatusError, NotFoundError

    with pytest.raises((NotFoundError, APIStatusError)) as refused:
        portkey.feedback.update(feedback_id=feedback_id, value=1)
    assert refused.value.status_code in (404, 405)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_change_of_an_id_that_was_never_given_is_told_as_dead_by_its_receipt(
    pipeline: Pipeline, portkey: "Portkey", trace: str, method: str
) -> None:
    """The edge cannot know the id; the worker does, and the receipt says so for good."""
    never = str(new_id(murmur2(trace_key("default", trace)), 1_769_860_800_123))
    url = f"{pipeline.url}/v1/feedback/{never}"
    assert requests.get(url, timeout=30).status_code == 404
    if method == "PUT":
        assert portkey.feedback.update(feedback_id=never, value=1).feedback_ids == [never]
    else:
        requests.delete(url, timeout=30).raise_for_status()

    def read_receipt() -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(url, timeout=30).json()
        return answer

    until(lambda: read_receipt()["status"] == "dead", "the change is dead")
    assert (read_receipt()["reason"], read_receipt().get("feedback")) == ("unknown_feedback", None)
    assert read_receipt()["detail"]
    assert pipeline.stored(never) == {}


def test_a_bulk_call_with_one_fault_stores_nothing_and_names_the_item(
    pipeline: Pipeline, portkey: "Portkey", stored: RowOf, trace: str
) -> None:
    from portkey_ai.api_resources.exceptions import BadRequestError

    with pytest.raises(BadRequestError) as refused:
        portkey.feedback.bulk_create(feedbacks=[{"trace_id": trace, "value": 1}, {"trace_id": trace, "value": -11}])
    assert refused.value.message == "Error code: 400 - item 1: value must be an integer from -10 to 10, got -11"
    later = portkey.feedback.create(trace_id=trace, value=2)
    # One trace is handled in order: where the later one is stored, an earlier one would be.
    stored((later.feedback_ids or [])[0])
    count = pipeline.count("SELECT count() FROM feedback.feedback WHERE trace_id = {t:String}", t=trace)
    assert count == 1


def test_update_changes_what_it_names_and_keeps_the_rest(
    pipeline: Pipeline, portkey: "Portkey", stored: RowOf, trace: str
) -> None:
    created = portkey.feedback.create(trace_id=trace, value=5, weight=0.5, metadata={"_user": "fef653"})
    (feedback_id,) = created.feedback_ids or []
    updated = portkey.feedback.update(feedback_id=feedback_id, value=-2)
    assert (updated.status, updated.message) == ("success", "Feedback successfully updated")
    assert updated.feedback_ids == [feedback_id]
    until(lambda: pipeline.stored(feedback_id).get("value") == -2, "the new value is stored")
    row = stored(feedback_id)
    assert (row["weight"], json.loads(row["metadata"])) == (Decimal("0.5"), {"_user": "fef653"})
    portkey.feedback.update(feedback_id=feedback_id, value=3, weight=0.25, metadata={"text": "second thought"})
    until(lambda: pipeline.stored(feedback_id).get("value") == 3, "the third value is stored")
    row = stored(feedback_id)
    assert (row["weight"], json.loads(row["metadata"])) == (Decimal("0.25"), {"text": "second thought"})
    assert row["trace_id"] == trace


async def test_the_async_client_creates_in_bulk_and_singly_and_updates(
    pipeline: Pipeline, stored: RowOf, trace: str
) -> None:
    from portkey_ai import AsyncPortkey
    from portkey_ai.api_resources.exceptions import BadRequestError, NotFoundError

    portkey = AsyncPortkey(api_key="any", base_url=f"{pipeline.url}/v1")
    single = await portkey.feedback.create(trace_id=trace, value="4", weight=0.5, metadata={"_user": "fef653"})
    bulk = await portkey.feedback.bulk_create(feedbacks=[{"trace_id": trace, "value": n} for n in (1, 2)])
    one, two, three = [*(single.feedback_ids or []), *(bulk.feedback_ids or [])]
    assert [stored(feedback_id)["value"] for feedback_id in (one, two, three)] == [4, 1, 2]
    assert (stored(one)["weight"], stored(one)["_user"]) == (Decimal("0.5"), "fef653")
    await portkey.feedback.update(feedback_id=one, value=-4)
    until(lambda: pipeline.stored(one)["value"] == -4, "the update is stored")
    with pytest.raises(NotFoundError, match="feedback_id="):
        await portkey.feedback.update(value=1)
    with pytest.raises(BadRequestError, match="value"):
        await portkey.feedback.create(trace_id=trace, value=11)


def test_update_without_an_id_is_a_typed_error_that_says_what_to_pass(portkey: "Portkey") -> None:
    from portkey_ai.api_resources.exceptions import NotFoundError

    with pytest.raises(NotFoundError) as refused:
        portkey.feedback.update(value=1)
    assert refused.value.message.startswith('Error code: 404 - there is no feedback with the id "NOT_GIVEN": ')
    assert refused.value.message.endswith("pass `feedback_id=…`")
    assert refused.value.status_code == 404


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"value": 11}, "value must be an integer from -10 to 10, got 11"),
        ({"value": -11}, "value must be an integer from -10 to 10, got -11"),
        ({"value": 1.5}, "value must be an integer from -10 to 10, got 1.5"),
        ({"value": "good"}, 'value must be an integer from -10 to 10, got "good"'),
        ({}, "value is required"),
        ({"value": 1, "weight": 1.1}, "weight must be a number from 0 to 1, got 1.1"),
        ({"value": 1, "metadata": "[1]"}, 'metadata must be an object or a string holding the JSON of one, got "[1]"'),
        # The SDK drops empty strings.
        ({"value": 1, "trace_id": ""}, "trace_id is required"),
    ],
)
def test_a_refused_create_is_a_typed_error_that_names_the_field(
    portkey: "Portkey", trace: str, sent: dict[str, Any], message: str
) -> None:
    from portkey_ai.api_resources.exceptions import BadRequestError

    with pytest.raises(BadRequestError) as refused:
        portkey.feedback.create(**{"trace_id": trace, **sent})
    # The SDK shows the whole body where it does not find the sentence in it.
    assert refused.value.message == f"Error code: 400 - {message}"
    assert refused.value.status_code == 400


def test_every_way_to_point_the_client_here_stores_feedback(pipeline: Pipeline, stored: RowOf, trace: str) -> None:
    from portkey_ai import Portkey

    traced = {"api_key": "any", "trace_id": "another", "metadata": {"_user": "other"}}
    ways: list[tuple[dict[str, Any], str]] = [
        ({}, "/v1"),
        ({"api_key": "any"}, "/v1/"),
        ({"Authorization": "any"}, "/v1"),
        (traced, "/v1"),
    ]
    ids: list[str] = []
    for options, path in ways:
        portkey = Portkey(base_url=pipeline.url + path, **options)
        ids += portkey.feedback.create(trace_id=trace, value=1).feedback_ids or []
    assert len(ids) == len(ways)
    # The trace id of the client serves where the call has none.
    ids += (
        Portkey(base_url=f"{pipeline.url}/v1", api_key="any", trace_id=trace).feedback.create(value=1).feedback_ids
        or []
    )
    assert [(row["trace_id"], row["value"], row["_user"]) for row in map(stored, ids)] == [(trace, 1, "")] * 5


def test_a_client_with_neither_key_nor_address_looks_where_the_edge_listens_by_default() -> None:
    from portkey_ai import Portkey

    assert str(Portkey().base_url) == f"http://localhost:{Settings.model_fields['port'].default}/v1"


def test_logs_created_with_the_sdk_join_the_feedback(
    pipeline: Pipeline, portkey: "Portkey", stored: RowOf, logged: RowOf, trace: str
) -> None:
    reply = portkey.logs.create(
        request={
            "url": "https://api.openai.com/v1/chat/completions",
            "provider": "openai",
            "body": {"model": "gpt-4o", "user": "fef653"},
            "headers": {"authorization": "Bearer secret"},
        },
        response={"status": 201, "response_time": 412, "body": {"usage": {"total_tokens": 57}}},
        metadata={"traceId": trace, "spanId": "s1", "_prompt": "test_prompt"},
    )
    row = logged(reply.json()["ids"][0])
    assert (row["trace_id"], row["span_id"], row["model"], row["provider"]) == (trace, "s1", "gpt-4o", "openai")
    assert (row["status"], row["response_time_ms"], row["total_tokens"]) == (201, 412, 57)
    assert "secret" not in str(row)
    created = portkey.feedback.create(trace_id=trace, value=1)
    joined = stored((created.feedback_ids or [])[0])
    assert (joined["join_state"], joined["models"], joined["providers"]) == ("joined", ["gpt-4o"], ["openai"])
    assert (joined["_user"], joined["_prompt"]) == ("fef653", "test_prompt")


async def test_logs_created_with_the_async_client_are_stored(pipeline: Pipeline, logged: RowOf, trace: str) -> None:
    from portkey_ai import AsyncPortkey

    portkey = AsyncPortkey(api_key="any", base_url=f"{pipeline.url}/v1")
    reply = await portkey.logs.create(request={"body": {"model": "m"}}, response={}, metadata={"trace_id": trace})
    row = logged(reply.json()["ids"][0])
    assert (row["trace_id"], row["model"], row["method"], row["status"]) == (trace, "m", "post", 200)
