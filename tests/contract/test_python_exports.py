"""Portkey's Python SDK orders, follows and downloads an export, unmodified, by base URL alone."""

import json
from typing import TYPE_CHECKING

import pytest
import requests

from tests.contract.conftest import RowOf
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

if TYPE_CHECKING:
    from portkey_ai import Portkey


@pytest.fixture
def portkey(pipeline: Pipeline) -> "Portkey":
    from portkey_ai import Portkey

    return Portkey(api_key="any", base_url=f"{pipeline.url}/v1")


def test_an_export_from_its_order_to_its_rows(
    pipeline: Pipeline, portkey: "Portkey", logged: RowOf, trace: str
) -> None:
    from portkey_ai.api_resources.exceptions import NotFoundError

    request_id = pipeline.request(trace, "gpt-4o", "openai", _user="fef653")
    logged(request_id)
    pipeline.feedback(trace, 4, 0.5)
    until(lambda: pipeline.aggregate(trace).get("feedback_count") == 1, "the feedback is stored")

    created = portkey.logs.exports.create(
        filters={"time_of_generation_min": "2020-01-01T00:00:00Z", "trace_id": "another"},
        workspace_id="default",
        description="for the contract",
        requested_data=["id", "trace_id", "ai_model", "metadata"],
    )
    assert (created.total, created.object) == (0, "export")
    export_id = created.id or ""
    draft = portkey.logs.exports.retrieve(export_id=export_id)
    assert (draft.status, draft.description, draft.workspace_id) == ("draft", "for the contract", "default")
    assert draft.requested_data == ["id", "trace_id", "ai_model", "metadata"]
    updated = portkey.logs.exports.update(export_id=export_id, filters={"trace_id": trace})
    assert (updated.id, updated.total) == (export_id, 1)
    assert portkey.logs.exports.start(export_id=export_id).message
    until(lambda: portkey.logs.exports.retrieve(export_id=export_id).status == "success", "the export is complete")
    done = portkey.logs.exports.retrieve(export_id=export_id)
    assert (done.total_records, done.filters) == (1, {"trace_id": trace})
    assert (done.created_at or "") <= (done.last_updated_at or "")
    listed = portkey.logs.exports.list(workspace_id="default")
    assert (listed.object, (listed.data or [])[0]["id"]) == ("list", export_id)
    assert portkey.logs.exports.list().total == listed.total

    url = portkey.logs.exports.download(export_id=export_id).signed_url or ""
    (row,) = map(json.loads, requests.get(url, timeout=30).text.splitlines())
    assert (row["id"], row["trace_id"], row["ai_model"]) == (request_id, trace, "gpt-4o")
    assert (row["metadata"]["_user"], row["feedback"]) == ("fef653", [{"value": 4, "weight": 0.5}])
    with pytest.raises(NotFoundError):
        portkey.logs.exports.retrieve(export_id="3c90c3cc-0d44-4b50-8888-8dd25736052a")


async def test_the_async_client_starts_and_cancels(pipeline: Pipeline) -> None:
    from portkey_ai import AsyncPortkey
    from portkey_ai.api_resources.exceptions import ConflictError

    exports = AsyncPortkey(api_key="any", base_url=f"{pipeline.url}/v1").logs.exports
    created = await exports.create(filters={})
    await exports.start(export_id=created.id)
    # It may have ended before it could be cancelled: then that is refused, and the truth stays.
    wanted = "stopped"
    try:
        await exports.cancel(export_id=created.id)
    except ConflictError:
        wanted = "success"
    assert (await exports.retrieve(export_id=created.id or "")).status == wanted
