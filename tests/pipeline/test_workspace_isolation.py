"""Workspaces are isolated: a caller with a key of one never sees, changes or counts anything of another.

Beta asks everything while it is alone, then alpha is filled with data of the same names, and beta asks again: every
answer must be the same, byte for byte. A route that
`tests/pipeline/workspace_isolation.py` does not know fails by its name.
"""

import asyncio
import json
import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from aiokafka import AIOKafkaProducer

from deploy.api import extend
from ingest_api.app import create_app
from ingest_api.settings import Settings
from operations.api_keys.stored_keys import publish, store
from query_api.settings import QuerySettings
from schemas.api_keys import new_key
from schemas.events import FeedbackCreated
from schemas.ids import new_id, partition_of, trace_hash_of, trace_key
from schemas.key_scopes import SCOPES as ALL_SCOPES
from schemas.key_scopes import Scope
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from tests.pipeline.engines import PARTITIONS, embedded, until
from tests.pipeline.ingest_api.edge_fixtures import failed
from tests.pipeline.running import Pipeline, roll_up
from tests.pipeline.workspace_isolation import (
    ADMIN,
    ADMIN_LISTS,
    BY_ID,
    DAYS_AGO,
    EXPORT,
    EXPORTS,
    LISTS,
    LONG_AGO,
    OF_ALL,
    OPEN,
    REDRIVE,
    SCOPES,
    SPECIALS,
    TOMORROW,
    Json,
    Question,
    Route,
    Workspace,
    questions,
    two_workspaces,
    unknown_routes,
)

Comparable = tuple[int, str, str]
"""Status, headers and body of an answer, without what is new in each."""

TRACES = "/v1/traces"
"""Its refusals are those of OTLP."""


def comparable(reply: requests.Response) -> Comparable:
    headers = {name: value for name, value in reply.headers.items() if name not in ("date", "x-request-id")}
    body = re.sub(r"expires=\d+&signature=[0-9a-f]+", "…", reply.text)
    if "signed_url" in body:
        body = re.sub(r'"expires_at":"[^"]+"', "…", body)
    return reply.status_code, json.dumps(headers), body


class Isolated(Pipeline):
    """The whole API with two workspaces in it."""

    session: requests.Session
    alpha: Workspace
    beta: Workspace
    alone: dict[Question, Comparable]
    of_alpha: dict[Question, Comparable]
    files_alone: dict[str, list[str]]

    def close(self) -> None:
        """Make the first key, from which on nobody is let in without one."""
        _, key = new_key("nobodys", ["admin"], datetime.now(UTC))
        store(self.sql_client, key)
        asyncio.run(publish(self.engines.kafka, [key]))
        for method in ("GET", "DELETE"):
            until(lambda m=method: self.call("", m, "/v1/feedback/x").status_code == 401, "it is closed")  # type: ignore[misc]

    def make_key(self, workspace: str, *scopes: Scope) -> str:
        secret, key = new_key(workspace, scopes, datetime.now(UTC))
        store(self.sql_client, key)
        asyncio.run(publish(self.engines.kafka, [key]))
        until(lambda: self.call(secret, "GET", "/v1/feedback/x").status_code != 401, "the queries know the key")
        until(lambda: self.call(secret, "DELETE", "/v1/feedback/x").status_code in (403, 404), "the edge knows it")
        return secret

    def call(
        self, key: str, method: str, path: str, body: Any = None, params: Any = None, **headers: str
    ) -> requests.Response:
        headers |= {"x-portkey-api-key": key} if key else {}
        url = path if path.startswith("http") else self.url + path
        return self.session.request(method, url, json=body, params=params, headers=headers, timeout=60)

    def must(self, key: str, method: str, path: str, body: Any = None, **headers: str) -> Json:
        reply = self.call(key, method, path, body, **headers)
        assert reply.status_code == 200, reply.text
        answer: Json = reply.json()
        return answer

    def settle(self) -> None:
        until(self.is_settled, "the workers have processed everything")

    def fill(self, own: Workspace) -> None:
        """All that a workspace can have: feedback in every state, requests, rollups, dead letters and exports."""
        own.key = self.make_key(own.name, "admin")
        logs = [own.log_body(trace, number=n) for trace in own.traces_with_requests for n in range(own.times)]
        logs += [own.log_body("old", DAYS_AGO)]
        own.logs += self.must(own.key, "POST", "/v1/logs", logs)["ids"]
        bodies = [own.feedback_body(trace) for trace in own.traces_with_feedback for _ in range(own.times)]
        own.feedback += self.must(own.key, "POST", "/v1/feedback", bodies + [own.feedback_body("joined")] * 2)[
            "feedback_ids"
        ]
        keyed = own.feedback_body("joined", value=own.value - 1)
        call = {"idempotency-key": "the-same"}
        own.feedback += self.must(own.key, "POST", "/v1/feedback", keyed, **call)["feedback_ids"]
        asyncio.run(self.give_earlier(own))
        edited, deleted, never = own.feedback[-5], own.feedback[-4], str(new_id(1, 1_700_000_000_000))
        own.feedback.append(never)
        for method, identity in (("PUT", edited), ("DELETE", deleted), ("PUT", deleted), ("PUT", never)):
            body = {"value": own.value, "metadata": own.metadata | {"edit": own.mark}} if method == "PUT" else None
            self.must(own.key, method, f"/v1/feedback/{identity}", body)
        self.settle()
        asyncio.run(roll_up(self.engines.clickhouse))
        for kind, form in (("logs", "jsonl"), ("feedback", "csv"), ("logs", "parquet")):
            order = {"kind": kind, "format": form, "description": own.mark}
            own.exports.append(self.must(own.key, "POST", EXPORTS, order)["id"])
            self.must(own.key, "POST", f"{EXPORTS}/{own.exports[-1]}/start")
        for each in own.exports:
            path = f"{EXPORTS}/{each}"
            until(lambda path=path: self.must(own.key, "GET", path)["status"] == "success", "it is exported")  # type: ignore[misc]
        own.exports.append(self.must(own.key, "POST", EXPORTS, {"description": own.mark})["id"])

    async def give_earlier(self, own: Workspace) -> None:
        """Feedback of some days ago, which rollups know, and of so long ago that it is orphaned."""
        producer = AIOKafkaProducer(bootstrap_servers=self.engines.kafka, acks="all")
        await producer.start()
        try:
            for trace, at in (("old", DAYS_AGO), ("orphan", LONG_AGO)):
                trace_hash = murmur2(key := trace_key(own.name, trace))
                identity = str(new_id(trace_hash, int(at.timestamp() * 1000)))
                event = FeedbackCreated(
                    event="create", feedback_id=identity, workspace=own.name, **own.feedback_body(trace), **SPECIALS,
                    home_environment="production", created_at=at,
                )  # fmt: skip
                value = json.dumps(json.loads(event.model_dump_json(by_alias=True))).encode()
                await producer.send_and_wait(FEEDBACK_EVENTS, value, key, partition_of(trace_hash, PARTITIONS))
                own.feedback.append(identity)
        finally:
            await producer.stop()

    def answers_to(self, own: Workspace, *, filtered: bool = True) -> dict[Question, Comparable]:
        return {
            each: comparable(self.call(own.key, each.route.method, each.path, params=json.loads(each.params)))
            for each in questions(own, filtered=filtered)
        }

    def file(self, own: Workspace, export_id: str) -> list[str]:
        """The rows of an exported file, in order."""
        url = self.must(own.key, "GET", f"{EXPORTS}/{export_id}/download")["signed_url"]
        return sorted(self.call("", "GET", url).content.decode("latin-1").splitlines())


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isolated]:
    folder = tmp_path_factory.mktemp("isolation")
    with ExitStack() as stack:
        engines = stack.enter_context(embedded(folder))
        engines.prepare()
        running = stack.enter_context(Isolated(engines, folder))
        running.session = stack.enter_context(requests.Session())
        running.close()
        running.alpha, running.beta = two_workspaces()
        running.fill(running.beta)
        running.alone = running.answers_to(running.beta)
        running.files_alone = {each: running.file(running.beta, each) for each in running.beta.exports[:2]}
        running.fill(running.alpha)
        running.of_alpha = running.answers_to(running.alpha, filtered=False)
        yield running


def leaks(tenants: Isolated, text: str) -> list[str]:
    """What of alpha is in a text."""
    return [secret for secret in tenants.alpha.secrets if secret in text]


def test_every_route_is_known_and_a_new_one_is_named(tenants: Isolated) -> None:
    app = create_app(Settings())
    extend(app, QuerySettings())
    document = requests.get(f"{tenants.url}/openapi.json", timeout=30).json()
    assert unknown_routes(app, document) == []

    @app.get("/v1/everything", include_in_schema=False)
    async def everything() -> None: ...

    document["paths"]["/v1/documented"] = {"get": {}}
    assert unknown_routes(app, document) == ["GET /v1/documented", "GET /v1/everything"]


def test_whatever_one_asks_is_answered_as_if_the_other_were_not_there(tenants: Isolated) -> None:
    again = tenants.answers_to(tenants.beta)
    assert {each.route for each in again} == {*LISTS, *BY_ID, *ADMIN_LISTS}
    for question, answer in again.items():
        assert answer == tenants.alone[question], question
        # An error may name the filter or id that was asked for.
        found = [each for each in leaks(tenants, f"{answer[1:]}") if each not in question.path + question.params]
        assert found == [], question
    # None of this says anything unless the other is told something else.
    others = tenants.of_alpha
    unlike = {each.route for each in again if each in others and others[each] != again[each]}
    assert unlike >= {*LISTS, *ADMIN_LISTS}
    for own, answers in ((tenants.alpha, others), (tenants.beta, again)):
        telling = {each.route for each, answer in answers.items() if own.mark in answer[2]}
        assert telling >= {*BY_ID, Route("GET", f"{ADMIN}/dead-letters")} - {Route("GET", f"{EXPORT}/download")}


def test_exported_files_hold_only_the_rows_of_their_workspace(tenants: Isolated) -> None:
    for kind, export_id in zip(("logs", "feedback"), tenants.beta.exports, strict=False):
        assert tenants.file(tenants.beta, export_id) == tenants.files_alone[export_id]
        form = tenants.must(tenants.beta.key, "GET", f"{EXPORTS}/{export_id}")["format"]
        order = {"kind": kind, "format": form, "description": tenants.beta.mark}
        created = tenants.must(tenants.beta.key, "POST", EXPORTS, order)
        path = f"{EXPORTS}/{created['id']}"
        tenants.must(tenants.beta.key, "POST", f"{path}/start")
        until(
            lambda path=path: tenants.must(tenants.beta.key, "GET", path)["status"] == "success",
            "it is exported",
        )  # type: ignore[misc]
        rows = tenants.file(tenants.beta, created["id"])
        assert rows == tenants.files_alone[export_id]
        assert created["total"] == len(rows) - (form == "csv")
        assert leaks(tenants, "\n".join(rows)) == []
        assert tenants.beta.mark in "\n".join(rows)
    for export_id in tenants.alpha.exports[:2]:
        rows = tenants.file(tenants.alpha, export_id)
        assert tenants.alpha.mark in "\n".join(rows)
        assert tenants.beta.mark not in "\n".join(rows)


def never_given(identity: str) -> str:
    """An id of feedback on the same trace."""
    return str(new_id(trace_hash_of(uuid.UUID(identity)), 1_700_000_000_000))


def same_but_for(first: Comparable, identity: str, second: Comparable, other: str) -> bool:
    return tuple(str(each).replace(identity, "…") for each in first) == tuple(
        str(each).replace(other, "…") for each in second
    )


def test_an_id_of_another_workspace_is_answered_as_one_that_was_never_given(tenants: Isolated) -> None:
    alpha, key = tenants.alpha, tenants.beta.key
    never = {
        "feedback_id": [(each, never_given(each)) for each in alpha.feedback],
        "log_id": [(each, never_given(each)) for each in alpha.logs],
        "trace_id": [("alphatrace", secrets.token_hex(5))],
        "export_id": [(each, str(uuid.uuid4())) for each in alpha.exports],
        "key": [("alphaworks-only", secrets.token_hex(8)[:15])],
        "key_id": [(alpha.key.split("_")[1], secrets.token_hex(6))],
    }
    tried = set()
    for route in sorted({*SCOPES, *OPEN}):
        for name, pairs in never.items():
            if f"{{{name}}}" not in route.path:
                continue
            for pair in pairs:
                params = {"time_of_generation_min": "2026-01-01", "time_of_generation_max": "2099-01-01"}
                first, second = (
                    comparable(
                        tenants.call(
                            key,
                            route.method,
                            route.path.replace(f"{{{name}}}", each),
                            {"value": 1} if name == "feedback_id" else {},
                            params if name == "key" else None,
                        )
                    )
                    for each in pair
                )
                assert same_but_for(first, pair[0], second, pair[1]), (route, first, second)
                assert name in ("feedback_id", "key") or first[0] in (403, 404), (route, first)
                assert [each for each in leaks(tenants, f"{first[1:]}") if each not in pair] == []
            tried.add(route)
    assert tried == {route for route in {*SCOPES, *OPEN} if "{" in route.path}
    tenants.settle()
    for pair in never["feedback_id"]:
        receipts = [tenants.call(key, "GET", f"/v1/feedback/{each}").json() for each in pair]
        assert receipts[0]["status"] == "dead"
        assert receipts[0]["reason"] == "unknown_feedback"
        assert [each for each in leaks(tenants, json.dumps(receipts[0])) if each not in pair] == []
        plain = [re.sub(r'"recorded_at": "[^"]+"', "…", json.dumps(each)) for each in receipts]
        assert plain[0].replace(pair[0], "…") == plain[1].replace(pair[1], "…")
    # What the others tried has changed nothing, and shows nowhere.
    assert tenants.answers_to(alpha, filtered=False) == tenants.of_alpha


def test_an_address_of_one_file_opens_no_other(tenants: Isolated) -> None:
    url = tenants.must(tenants.beta.key, "GET", f"{EXPORTS}/{tenants.beta.exports[0]}/download")["signed_url"]
    for other in (tenants.alpha.exports[0], str(uuid.uuid4())):
        reply = tenants.call(tenants.beta.key, "GET", url.replace(tenants.beta.exports[0], other))
        assert failed(reply, 403, "AB03")["param"] == "signature"


def test_a_dead_letter_of_another_workspace_is_sent_as_little_as_one_that_never_was(tenants: Isolated) -> None:
    path, key = f"{ADMIN}/dead-letters", tenants.beta.key
    theirs = tenants.must(tenants.alpha.key, "GET", path)["data"]
    assert len(theirs) >= 2
    places = [theirs[0]["place"], theirs[0]["place"].rpartition("/")[0] + "/4000000000"]
    answers = [
        tenants.must(key, "POST", REDRIVE.path, {"places": [each], "again": True, "force": True}) for each in places
    ]
    for place, answer in zip(places, answers, strict=True):
        assert answer["sent"] == []
        assert answer["left"] == [{"place": place, "why": "unknown", "feedback_id": None}]
    assert tenants.must(tenants.alpha.key, "GET", path)["data"] == theirs
    reason, cursor = (
        {"reason": theirs[-1]["reason"]},
        tenants.must(tenants.alpha.key, "GET", f"{path}?page_size=1")["next_cursor"],
    )
    for params in (reason, {"cursor": cursor}):
        assert leaks(tenants, tenants.call(key, "GET", path, params=params).text) == []


def test_of_the_pipeline_there_are_numbers_of_all_and_nothing_of_anybody(tenants: Isolated) -> None:
    of_all = tenants.alpha.secrets | tenants.beta.secrets | {*SPECIALS.values(), "alphatrace"} - {"production"}
    for route in OF_ALL:
        text = tenants.call(tenants.beta.key, route.method, route.path).text
        assert [each for each in of_all if each in text] == [], route
    status = tenants.must(tenants.beta.key, "GET", f"{ADMIN}/pipeline")
    assert status["accepted"] == sum(tenants.accepted().values())


def test_another_workspace_cannot_be_named(tenants: Isolated) -> None:
    times = {"time_of_generation_min": "2026-01-01", "time_of_generation_max": "2099-01-01"}
    for name in (tenants.alpha.name, "nobodys"):
        for route in LISTS:
            asked = ({} if route.path.startswith(("/v1/feedback", "/v1/logs")) else times) | {"workspace_slug": name}
            asked |= {"baseline_user": "x"} if "comparison" in route.path else {}
            reply = tenants.call(tenants.beta.key, "GET", route.path.replace("{key}", "topic"), params=asked)
            assert name not in failed(reply, 403, "AB03")["message"]
        for method, body, params in (("GET", None, {"workspace_id": name}), ("POST", {"workspace_id": name}, None)):
            reply = tenants.call(tenants.beta.key, method, EXPORTS, body, params)
            assert name not in failed(reply, 403, "AB03")["message"]


def test_a_cursor_of_another_workspace_shows_nothing_of_it(tenants: Isolated) -> None:
    alpha, beta = tenants.alpha, tenants.beta
    for path, ids in (("/v1/feedback", beta.feedback), ("/v1/logs", beta.logs)):
        theirs = tenants.must(alpha.key, "GET", f"{path}?page_size=1")
        place = theirs["data"][0]["created_at"]
        reply = tenants.call(beta.key, "GET", path, params={"cursor": theirs["next_cursor"], "page_size": "100"})
        mine = tenants.must(beta.key, "GET", f"{path}?page_size=100")["data"]
        expected = [each for each in mine if each["created_at"] < place]
        seen = reply.json()["data"]
        assert [each for each in seen if each["created_at"] < place] == expected
        assert {each["id"] for each in seen} <= {*ids}
        assert expected or path == "/v1/logs"
        assert leaks(tenants, reply.text) == []
    trace = tenants.must(alpha.key, "GET", "/v1/traces/joined?page_size=1")
    for part, cursor, ids in (("spans", "span_cursor", beta.logs), ("feedback", "feedback_cursor", beta.feedback)):
        reply = tenants.call(beta.key, "GET", "/v1/traces/joined", params={cursor: trace[part]["next_cursor"]})
        assert {each["id"] for each in reply.json()[part]["data"]} <= {*ids}
        assert leaks(tenants, reply.text) == []


def test_an_idempotency_key_stands_for_one_call_in_each_workspace(tenants: Isolated) -> None:
    for own in (tenants.alpha, tenants.beta):
        body = own.feedback_body("joined", value=own.value - 1)
        headers = {"idempotency-key": "the-same"}
        (identity,) = tenants.must(own.key, "POST", "/v1/feedback", body, **headers)["feedback_ids"]
        assert identity in own.feedback
        receipt = tenants.must(own.key, "GET", f"/v1/feedback/{identity}")
        assert (receipt["status"], receipt["feedback"]["value"]) == ("stored", own.value - 1)
        failed(tenants.call(own.key, "POST", "/v1/feedback", body | {"value": 0}, **headers), 409, "AB07")


def test_what_needs_no_key_tells_nothing_of_any_workspace(tenants: Isolated) -> None:
    of_all = tenants.alpha.secrets | tenants.beta.secrets | {*SPECIALS.values(), "alphatrace"} - {"production"}
    for route in OPEN - {Route("GET", f"{EXPORT}/file")}:
        for key in ("", tenants.beta.key):
            reply = tenants.call(key, "GET", route.path)
            assert reply.status_code == 200, route
            answer = f"{reply.headers}{reply.text}"
            assert [each for each in of_all if each in answer] == [], route


def test_without_a_key_or_its_scope_every_route_is_shut(tenants: Isolated) -> None:
    scopes = [scope for scope in ALL_SCOPES if scope != "admin"]
    lacking = {
        scope: tenants.make_key("betaworks", *(each for each in scopes if each != scope)) for scope in ALL_SCOPES
    }
    beta = tenants.beta
    known = {"feedback_id": beta.feedback[0], "log_id": beta.logs[0], "trace_id": "joined",
             "export_id": beta.exports[0], "key": "topic", "key_id": beta.key.split("_")[1]}  # fmt: skip
    for route, needed in SCOPES.items():
        path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], route.path)
        for key in (
            "",
            "fbk_nonsense",
            tenants.beta.key[:-1] + ("0" if tenants.beta.key[-1] != "0" else "1"),
        ):
            reply = tenants.call(key, route.method, path, {})
            if path == TRACES:
                assert (reply.status_code, reply.json()["code"]) == (401, 16)
            else:
                assert failed(reply, 401, "AB05")["param"] == "x-portkey-api-key"
        for scope in needed:
            reply = tenants.call(lacking[scope], route.method, path, {})
            message = reply.json()["message"] if path == TRACES else failed(reply, 403, "AB03")["message"]
            assert f"lacks the scope {scope}" in message, route


def test_no_scope_but_feedback_read_shows_feedback(tenants: Isolated) -> None:
    own, seen = tenants.beta, 0
    for scope in ("logs.read", "analytics.read", "feedback.write", "logs.write"):
        key = tenants.make_key(own.name, scope)
        for each in questions(own, filtered=False):
            reply = tenants.call(key, each.route.method, each.path, params=json.loads(each.params))
            assert reply.status_code in (200, 403), each
            seen += reply.status_code == 200
            assert [one for one in own.feedback if one in reply.text and one not in each.path] == [], each
    assert seen > 10
    key = tenants.make_key(own.name, "logs.read")
    hidden = dict.fromkeys(("feedback_count", "mean_value_weight", "weighted_mean", "feedback"))
    page = tenants.must(key, "GET", "/v1/logs")["data"]
    assert page
    for log in (*page, tenants.must(key, "GET", f"/v1/logs/{page[0]['id']}")):
        assert {name: log[name] for name in hidden} == hidden
    for filters in ({"weighted_feedback_min": "0"}, {"weighted_feedback_max": "0"}, {"has_feedback": "true"}):
        reply = tenants.call(key, "GET", "/v1/logs", params=filters)
        assert "lacks the scope feedback.read" in failed(reply, 403, "AB03")["message"]
        failed(tenants.call(key, "POST", EXPORTS, {"filters": filters}), 403, "AB03")
    for refused in ({"kind": "feedback"}, {"requested_data": ["id", "feedback"]}):
        failed(tenants.call(key, "POST", EXPORTS, refused), 403, "AB03")


def test_without_logs_read_no_filter_of_feedback_tells_what_requests_alone_say(tenants: Isolated) -> None:
    alone, both = (tenants.make_key("judged", *more, "feedback.read") for more in ((), ("logs.read", "logs.write")))
    writer = tenants.make_key("judged", "feedback.write")
    tenants.must(writer, "POST", "/v1/feedback", {"trace_id": "t", "value": 3})
    log = {"request": {"url": "u"}, "response": {"status": 418}, "metadata": {"trace_id": "t", "plan": "pro"}}
    (request_id,) = tenants.must(both, "POST", "/v1/logs", log)["ids"]

    def found(key: str, path: str, filters: Json) -> requests.Response:
        until_tomorrow = {"time_of_generation_min": f"{LONG_AGO:%F}", "time_of_generation_max": f"{TOMORROW:%F}"}
        of_facets = {"fields": "value", **until_tomorrow}
        return tenants.call(key, "GET", path, params=filters | (of_facets if path.endswith("facets") else {}))

    by_metadata = {"metadata": json.dumps({"plan": "pro"})}
    until(lambda: found(both, "/v1/feedback", by_metadata).json()["data"], "the request is joined")
    for path, told in (("/v1/feedback", "data"), ("/v1/feedback/facets", "total")):
        for filters in (
            *({"status_code": "418"}, {"cost_min": "0"}, {"total_units_max": "9"}, {"response_time_min": "0"}),
            *({"prompt_token_min": "0"}, {"completion_token_max": "9"}, {"span_id": "s"}, {"request_id": request_id}),
        ):
            assert "lacks the scope logs.read" in failed(found(alone, path, filters), 403, "AB03")["message"], filters
            assert found(both, path, filters).status_code == 200, filters
        assert found(both, path, by_metadata).json()[told]
        assert not found(alone, path, by_metadata).json()[told]
        assert found(alone, path, {}).json()[told]


def test_an_export_ordered_without_feedback_read_has_none_and_stays_so(tenants: Isolated) -> None:
    own = tenants.beta
    key = tenants.make_key(own.name, "logs.read")
    path = f"{EXPORTS}/{tenants.must(key, 'POST', EXPORTS, {'description': own.mark})['id']}"
    failed(tenants.call(key, "PUT", path, {"kind": "feedback"}), 403, "AB03")
    tenants.must(key, "POST", f"{path}/start")
    until(lambda: tenants.must(key, "GET", path)["status"] == "success", "it is exported")
    url = tenants.must(key, "GET", f"{path}/download")["signed_url"]
    rows = [json.loads(line) for line in tenants.call("", "GET", url).text.splitlines()]
    assert {row["id"] for row in rows} == {*own.logs}
    assert not {"feedback_count", "feedback", "avg_weighted_feedback", "weighted_mean"} & {*rows[0]}


def test_the_address_of_a_file_is_never_what_the_request_says(tenants: Isolated) -> None:
    path = f"{EXPORTS}/{tenants.beta.exports[0]}/download"
    for headers in ({"host": "127.0.0.1:1"}, {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}):
        url = tenants.must(tenants.beta.key, "GET", path, **headers)["signed_url"]
        assert url.startswith(f"{tenants.url}/v1/logs/exports/"), headers
