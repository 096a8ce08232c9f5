"""The contract: ids, generated files, and the two readings of one event."""

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas import ids
from schemas.events import FeedbackEvent, RequestLogged
from schemas.export import files
from schemas.murmur2 import murmur2, murmur2_all
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS, TOPICS
from stream_workers.join.decode import InvalidEventError, decode_event

DOCS = Path(__file__).parents[3] / "docs"
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
WORKSPACES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
PARTITIONS = st.integers(1, 500)


@given(st.binary(max_size=200))
def test_our_murmur2_is_kafkas(data: bytes) -> None:
    assert murmur2(data) == kafka_murmur2(data) & 0xFFFFFFFF


@given(st.lists(st.binary(max_size=60) | st.binary(min_size=11, max_size=12), max_size=60))
def test_many_keys_are_hashed_as_each_of_them(keys: list[bytes]) -> None:
    assert murmur2_all(keys) == [murmur2(key) for key in keys]


@given(WORKSPACES, NAMES, st.integers(0, 2**48 - 1))
def test_an_id_is_read_back_in_capitals_too_and_is_one_of_ours(workspace: str, trace_id: str, at_ms: int) -> None:
    identity = ids.new_id(murmur2(ids.trace_key(workspace, trace_id)), at_ms)
    assert ids.id_in(str(identity)) == ids.id_in(str(identity).upper()) == identity
    assert ids.is_ours(identity)


@pytest.mark.parametrize(
    "text",
    [
        "", "undefined", "01970000000080008000" + "9b11edf90000", "{01970000-0000-8000-8000-9b11edf90000}",
        "0197000000008000800-09b11edf90000---", "01970000-0000-8000-8000-9b11edf9_000",
        "\u06601970000-0000-8000-8000-9b11edf90000", "01970000-0000-8000-8000-9b11edf90000\n",
    ],
)  # fmt: skip
def test_what_is_written_otherwise_is_no_id_though_python_would_take_it(text: str) -> None:
    assert ids.id_in(text) is None


def test_ids_of_other_versions_are_not_ours() -> None:
    assert not any(ids.is_ours(UUID(f"01970000-0000-{form}-9b11edf90000")) for form in ("4000-8000", "8000-c000"))


@given(WORKSPACES, NAMES, st.integers(0, 2**48 - 1), PARTITIONS)
def test_an_update_that_knows_only_the_id_reaches_the_partition_of_its_create(
    workspace: str, trace_id: str, at_ms: int, partitions: int
) -> None:
    key = ids.trace_key(workspace, trace_id)
    create_goes_to = DefaultPartitioner()(key, list(range(partitions)), list(range(partitions)))
    feedback_id = ids.new_id(murmur2(key), at_ms)
    assert ids.partition_of(ids.trace_hash_of(UUID(str(feedback_id))), partitions) == create_goes_to


@given(WORKSPACES, NAMES, NAMES, st.integers(0, 1000))
def test_an_idempotency_key_always_gives_the_same_id_on_the_right_partition(
    workspace: str, trace_id: str, key: str, position: int
) -> None:
    trace_hash = murmur2(ids.trace_key(workspace, trace_id))
    first = ids.idempotent_id(trace_hash, workspace, key, position)
    assert first == ids.idempotent_id(trace_hash, workspace, key, position)
    assert ids.trace_hash_of(first) == trace_hash
    assert first not in (
        ids.idempotent_id(trace_hash, workspace, key, position + 1),
        ids.idempotent_id(trace_hash, workspace, key + "x", position),
        ids.idempotent_id(trace_hash, workspace + "x", key, position),
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1))
def test_ids_are_uuids_of_version_8_that_sort_by_time_and_never_repeat(trace_hash: int, at_ms: int) -> None:
    identity = ids.new_id(trace_hash, at_ms)
    assert (identity.version, identity.variant) == (8, "specified in RFC 4122")
    assert identity.int >> 80 == at_ms
    assert str(identity)[24:32] == f"{trace_hash:08x}"
    assert len({ids.new_id(trace_hash, at_ms) for _ in range(50)}) == 50


@given(st.lists(st.integers(0, 2**32 - 1), max_size=30), st.integers(0, 2**48 - 1))
def test_many_ids_are_each_as_one_would_be(trace_hashes: list[int], at_ms: int) -> None:
    made = ids.new_ids(trace_hashes, at_ms)
    found = [UUID(text) for text in made]
    assert made == [str(identity) for identity in found]
    assert all((identity.version, identity.variant) == (8, "specified in RFC 4122") for identity in found)
    assert [(identity.int >> 80, ids.trace_hash_of(identity)) for identity in found] == [
        (at_ms, trace_hash) for trace_hash in trace_hashes
    ]


@pytest.mark.parametrize("together", [1, 100])
def test_ids_made_at_one_moment_on_one_trace_differ_in_all_their_chance(together: int) -> None:
    made = [UUID(text).int for _ in range(1000 // together) for text in ids.new_ids([7] * together, 5)]
    assert len({*made}) == len(made)
    either = made[0]
    both = made[0]
    for each in made:
        either, both = either | each, both & each
    # Bits that were now 0 and now 1: 12 after the version, 14 after the variant, 16 at the end.
    assert either & ~both == 0xFFF << 64 | 0x3FFF << 48 | 0xFFFF


def test_the_generated_schema_files_are_up_to_date() -> None:
    for path, text in files().items():
        assert (DOCS / path).read_text() == text, f"docs/{path} is stale: run python -m schemas.export"
    assert {p.name for p in (DOCS / "schemas").iterdir()} == {f"{topic.name}.json" for topic in TOPICS}


ID = "01a20536-d57e-84bb-8480-fba5892f8715"
AT = "2026-11-22T21:43:29.406Z"
CREATE = {
    "event": "create", "workspace": "default", "feedback_id": ID, "trace_id": "t", "value": 5, "weight": 0.5,
    "metadata": {"_user": "u"}, "_user": "u", "home_environment": "production", "created_at": AT,
    "idempotency_key": "k", "idempotency_digest": "0123456789abcdef0123456789abcdef",
}  # fmt: skip
UPDATE = {"event": "update", "workspace": "default", "feedback_id": ID, "value": 1, "updated_at": AT}
DELETE = {"event": "delete", "workspace": "default", "feedback_id": ID, "deleted_at": AT}
FORGET = {"event": "forget", "workspace": "default", "feedback_id": ID, "forgotten_at": AT}
REQUEST = {
    "event": "request", "workspace": "default", "request_id": ID, "trace_id": "t", "metadata": {},
    "started_at": AT, "received_at": AT, "request_body": {"model": "m"}, "total_tokens": 3,
}  # fmt: skip
SAMPLES = [(FEEDBACK_EVENTS, CREATE), (FEEDBACK_EVENTS, UPDATE), (FEEDBACK_EVENTS, DELETE)]
SAMPLES += [(FEEDBACK_EVENTS, FORGET), (REQUEST_LOGS, REQUEST)]
ODD = st.sampled_from(
    [
        None,
        "",
        "x",
        f"{ID}\n",
        "default\n",
        0,
        11,
        -11,
        10,
        0.5,
        1.5,
        True,
        [],
        {},
        {"a": [1]},
        ID,
        ID.upper(),
        AT,
        "2026-13-01",
        "a/b",
    ]
)
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    FEEDBACK_EVENTS: TypeAdapter(FeedbackEvent),
    REQUEST_LOGS: TypeAdapter(RequestLogged),
}


@pytest.mark.parametrize(("topic", "sample"), SAMPLES)
def test_every_event_of_the_contract_is_read_by_the_worker(topic: str, sample: dict[str, Any]) -> None:
    ADAPTERS[topic].validate_python(sample)
    assert decode_event(topic, msgspec.json.encode(sample))


@given(st.sampled_from(SAMPLES), st.data())
def test_the_workers_reading_and_the_published_schema_accept_and_refuse_the_same(
    sample: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    topic, event = sample
    name = data.draw(st.sampled_from(sorted(event.keys() - {"event"})))
    changed = {**event, name: data.draw(ODD)} if data.draw(st.booleans()) else {k: event[k] for k in event if k != name}
    text = msgspec.json.encode(changed)
    assert _worker_accepts(topic, text) == _schema_accepts(topic, text), changed


def _worker_accepts(topic: str, text: bytes) -> bool:
    try:
        decode_event(topic, text)
    except InvalidEventError:
        return False
    return True


def _schema_accepts(topic: str, text: bytes) -> bool:
    try:
        ADAPTERS[topic].validate_json(text, strict=True)
    except ValidationError:
        return False
    return True
