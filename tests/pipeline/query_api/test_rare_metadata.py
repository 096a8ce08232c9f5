"""Feedback by a text that few say is found by keys, and is the same as by a look at all metadata."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from query_api.clickhouse import Engines
from query_api.filters.parameters import LogFilters
from query_api.reading import rare_metadata
from query_api.settings import QuerySettings
from schemas.ids import trace_key
from schemas.murmur2 import murmur2
from tests.pipeline.query_api.analytics_data import Row, insert_feedback, insert_requests
from tests.pipeline.query_api.analytics_world import api_over

AT = datetime(2025, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)
RARE, OTHER, NONE = {"batch": "b-7"}, {"batch": "b-8"}, {"text": "good"}


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=url) as connected:
        for table in ("feedback_rows", "request_log_rows"):
            connected.command(
                f"ALTER TABLE feedback.{table} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1"
            )
        yield connected


def id_on(trace: str) -> uuid.UUID:
    others = uuid.uuid4().int & ~(0xFFFFFFFF << 16)
    return uuid.UUID(int=others | murmur2(trace_key("default", trace)) << 16)


def feedback(client: Client, trace: str, *versions: Row, deleted: bool = False) -> str:
    """Store a feedback that says these one after the other; its id."""
    row: Row = {
        "workspace": "default", "feedback_id": id_on(trace), "trace_id": trace, "value": 1, "weight": 1,
        "created_at": AT, "join_state": "joined",
    }  # fmt: skip
    for version, metadata in enumerate(versions, 1):
        is_deleted = int(deleted and version == len(versions))
        insert_feedback(client, [row | {"metadata": metadata, "version": version, "is_deleted": is_deleted}])
    return str(row["feedback_id"])


def request(client: Client, trace: str, *copies: Row) -> None:
    """Store a request that says these, of which the last counts."""
    row: Row = {
        "workspace": "default", "request_id": id_on(trace), "trace_id": trace, "started_at": AT - timedelta(days=40)
    }  # fmt: skip
    for sequence, metadata in enumerate(copies, 1):
        insert_requests(client, [row | {"metadata": metadata}], sequence)


def listed(url: str, **query: Any) -> set[str]:
    async def ask() -> Any:
        async with api_over(url) as api:
            return await api.get("/v1/feedback", params=query)

    reply = asyncio.run(ask())
    assert reply.status_code == 200, reply.text
    return {each["id"] for each in reply.json()["data"]}


@pytest.mark.parametrize("most", [300, 0])
def test_a_rare_text_is_found_where_what_counts_says_it(
    url: str, client: Client, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rare_metadata, "MOST", most)
    own, on_request = {feedback(client, "says it now", OTHER, RARE), feedback(client, "says it", RARE)}, set()
    feedback(client, "said it once", RARE, OTHER)
    feedback(client, "is deleted", RARE, RARE, deleted=True)
    for trace, copies in {"asked": [RARE], "asked in the end": [OTHER, RARE]}.items():
        request(client, trace, *copies)
        on_request |= {feedback(client, trace, NONE), feedback(client, trace, NONE, NONE)}
        feedback(client, trace, OTHER)
    request(client, "not asked", RARE, OTHER)
    feedback(client, "not asked", NONE)
    assert listed(url, metadata=json.dumps(RARE)) == own | on_request
    assert listed(url, metadata=json.dumps(RARE), time_of_generation_min=AT.isoformat()) == own | on_request
    assert listed(url, metadata=json.dumps(RARE), time_of_generation_max=AT.isoformat()) == set()
    assert listed(url, metadata=json.dumps(NONE | RARE)) == on_request
    assert len(listed(url, metadata=json.dumps(RARE), trace_id="asked,says it") & (own | on_request)) == 3


def test_what_stands_between_key_and_text_in_the_index_confuses_nothing(url: str, client: Client) -> None:
    wanted = {feedback(client, "a", {"a": "b\x1fc"})}
    feedback(client, "b", {"a\x1fb": "c"})
    for trace, metadata in {"c": {"a": "b\x1fc"}, "d": {"a\x1fb": "c"}}.items():
        request(client, trace, metadata)
        on_request = feedback(client, trace, NONE)
        wanted |= {on_request} if trace == "c" else set()
    assert listed(url, metadata=json.dumps({"a": "b\x1fc"})) == wanted


def test_traces_are_named_where_few_say_one_of_the_texts(
    url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rare_metadata, "MOST", 2)
    for number in range(3):
        request(client, f"common-{number}", {"plan": "free"})
        feedback(client, f"judged-{number}", {"source": "form"})
    request(client, "rare", {"plan": "free", "session": "s-1"})
    feedback(client, "own", {"source": "form", "session": "s-1"})

    async def named(**metadata: str) -> list[int] | None:
        engines = Engines(QuerySettings(clickhouse_url=url))
        try:
            return await rare_metadata.traces_that_say(engines.reader(60), LogFilters("default", metadata=metadata))
        finally:
            await engines.close()

    both = sorted(murmur2(trace_key("default", trace)) for trace in ("rare", "own"))
    assert asyncio.run(named(session="s-1")) == both
    assert asyncio.run(named(plan="free", _user="u", session="s-1")) == both
    assert asyncio.run(named(plan="free")) is None
    assert asyncio.run(named(source="form")) is None
    assert asyncio.run(named(source="nobody")) == []
