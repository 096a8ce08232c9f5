"""API keys on real engines: made and revoked while everything runs, known to every edge and query, and kept apart."""

import asyncio
import http.client
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy import cli
from deploy.embedded.broker import wait_until_ready
from operations.api_keys.stored_keys import publish, reopening_records, store, stored_keys
from schemas.api_keys import new_key
from schemas.topics import API_KEYS, TOPICS
from tests.pipeline.engines import Engines, embedded, until
from tests.pipeline.ingest_api.edge_fixtures import Broker, Edge, failed
from tests.pipeline.running import Pipeline

ONE = {"trace_id": "t", "value": 1}
LOG = {"request": {}, "response": {}, "trace_id": "t"}


class Keyed(Pipeline):
    """A pipeline whose calls carry a key, and the commands of its operator."""

    def command(self, *words: str) -> int:
        where = ["--clickhouse-url", self.engines.clickhouse, "--bootstrap", self.engines.kafka]
        return cli.main([*words, *where])

    def call(self, method: str, path: str, key: str = "", body: Any = None) -> requests.Response:
        headers = {"x-portkey-api-key": key} if key else {}
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Engines of this module's own: a key in those of the session would close them to all other tests."""
    folder = tmp_path_factory.mktemp("keys")
    with embedded(folder) as engines:
        engines.prepare()
        yield engines


@pytest.fixture(scope="module")
def keyed(empty: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with Keyed(empty, tmp_path_factory.mktemp("keyed")) as running:
        yield running


def create(keyed: Keyed, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The key that `feedback keys create` prints."""
    capsys.readouterr()
    assert keyed.command("keys", "create", *words) == 0
    (secret,) = re.findall(r"fbk_[0-9a-f]{12}_[0-9a-f]{64}", capsys.readouterr().out)
    return str(secret)


def key_id(secret: str) -> str:
    return secret.split("_")[1]


def accepted(keyed: Keyed, secret: str) -> bool:
    return keyed.call("POST", "/v1/feedback", secret, ONE).status_code == 200


def known_to_queries(keyed: Keyed, secret: str) -> bool:
    """Whether the query side takes the key: an id that was never given is then unknown, and not refused."""
    return keyed.call("GET", "/v1/feedback/x", secret).status_code == 404


def test_all_is_open_until_the_first_key_and_closed_from_then_on(
    keyed: Keyed, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("", "whatever"):
        assert accepted(keyed, key)
        assert known_to_queries(keyed, key)
    assert keyed.command("keys", "list") == 0
    assert "is open" in capsys.readouterr().out

    secret = create(keyed, capsys, "--workspace", "first", "--scope", "feedback.write", "--scope", "feedback.read")
    until(lambda: not accepted(keyed, ""), "the edge is closed", seconds=10)
    until(lambda: not known_to_queries(keyed, ""), "the queries are closed", seconds=10)
    until(lambda: accepted(keyed, secret) and known_to_queries(keyed, secret), "the key is known", seconds=10)
    for key in ("", "whatever", secret[:-1] + ("0" if secret[-1] != "0" else "1")):
        for method, path in (("POST", "/v1/feedback"), ("POST", "/v1/logs"), ("GET", "/v1/feedback/x")):
            reply = keyed.call(method, path, key, ONE)
            assert failed(reply, 401, "AB05")["param"] == "x-portkey-api-key"
            assert reply.headers["www-authenticate"] == "Bearer"
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert keyed.call("GET", path).status_code == 200


def test_a_key_does_what_its_scopes_say_and_no_more(keyed: Keyed, capsys: pytest.CaptureFixture[str]) -> None:
    an_id = "01970000-0000-8000-8000-9b11edf90000"
    calls: dict[str, list[tuple[str, str, Any]]] = {
        "feedback.write": [
            ("POST", "/v1/feedback", ONE),
            ("PUT", f"/v1/feedback/{an_id}", {"value": 1}),
            ("DELETE", f"/v1/feedback/{an_id}", None),
        ],
        "logs.write": [("POST", "/v1/logs", LOG)],
        "feedback.read": [("GET", f"/v1/feedback/{an_id}", None)],
    }
    keys = {scope: create(keyed, capsys, "--scope", scope) for scope in (*calls, "admin")}
    until(lambda: all(accepted(keyed, keys[s]) for s in ("feedback.write", "admin")), "the edge knows them")
    until(lambda: all(known_to_queries(keyed, keys[s]) for s in ("feedback.read", "admin")), "the queries know them")
    for held, secret in keys.items():
        for scope, made in calls.items():
            for method, path, body in made:
                reply = keyed.call(method, path, secret, body)
                if held in (scope, "admin"):
                    assert reply.status_code in (200, 404), reply.text
                else:
                    assert scope in failed(reply, 403, "AB03")["message"]


def test_a_revoked_and_an_expired_key_are_refused_everywhere(keyed: Keyed, capsys: pytest.CaptureFixture[str]) -> None:
    secret = create(keyed, capsys, "--scope", "admin", "--name", "the lost one")
    until(lambda: accepted(keyed, secret) and known_to_queries(keyed, secret), "the key is known")
    assert keyed.command("keys", "revoke", key_id(secret)) == 0
    until(lambda: not accepted(keyed, secret), "the edge refuses it", seconds=10)
    until(lambda: not known_to_queries(keyed, secret), "the queries refuse it", seconds=10)
    assert "was revoked" in failed(keyed.call("POST", "/v1/feedback", secret, ONE), 401, "AB05")["message"]

    soon = datetime.now(UTC) + timedelta(seconds=3)
    expiring = create(keyed, capsys, "--scope", "admin", "--expires", soon.isoformat())
    until(lambda: accepted(keyed, expiring) and known_to_queries(keyed, expiring), "the key is known", seconds=2.5)
    until(lambda: not accepted(keyed, expiring) and not known_to_queries(keyed, expiring), "it expires", seconds=10)
    assert "expired" in failed(keyed.call("GET", "/v1/feedback/x", expiring), 401, "AB05")["message"]

    assert keyed.command("keys", "list") == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "the lost one" in each]
    assert "revoked" in line
    assert keyed.command("keys", "revoke", "0123456789ab") == 1
    assert "There is no API key 0123456789ab" in capsys.readouterr().err


def test_two_workspaces_see_nothing_of_each_other(keyed: Keyed, capsys: pytest.CaptureFixture[str]) -> None:
    mine, theirs = (create(keyed, capsys, "--workspace", name, "--scope", "admin") for name in ("mine", "theirs"))
    for key in (mine, theirs):
        until(lambda key=key: accepted(keyed, key) and known_to_queries(keyed, key), "the key is known")  # type: ignore[misc]

    # A workspace that only an API key opens is one.
    assert cli.main(["orphans", "--workspace", "theirs", "--clickhouse-url", keyed.engines.clickhouse]) == 0

    def receipt(key: str) -> dict[str, Any]:
        reply = keyed.call("GET", f"/v1/feedback/{identity}", key)
        return {"status": 404} if reply.status_code == 404 else dict(reply.json())

    for worker in keyed.workers:
        worker.stop()
    body = {"trace_id": "same", "value": 5, "metadata": {"text": "mine alone"}}
    (identity,) = keyed.call("POST", "/v1/feedback", mine, body).json()["feedback_ids"]
    assert (receipt(mine)["status"], receipt(theirs)["status"]) == ("queued", 404)
    keyed.workers[0].start()
    until(lambda: receipt(mine)["status"] == "stored", "it is stored")
    assert receipt(theirs)["status"] == 404

    for method, change in (("PUT", {"value": -1}), ("DELETE", None)):
        assert keyed.call(method, f"/v1/feedback/{identity}", theirs, change).status_code == 200
    until(lambda: receipt(theirs)["status"] == "dead", "the others' change is a dead letter")
    assert receipt(theirs)["reason"] == "unknown_feedback"
    assert "mine alone" not in str(receipt(theirs))
    until(keyed.is_settled, "all is stored")
    told = receipt(mine)
    assert (told["status"], told["feedback"]["value"], told["refused"]) == ("stored", 5, [])

    keyed.call("POST", "/v1/feedback", theirs, {"trace_id": "same", "value": -5})
    sums = "SELECT workspace, value_weight_sum AS sum FROM feedback.trace_aggregates WHERE trace_id = 'same'"
    until(lambda: {r["workspace"]: r["sum"] for r in keyed.sql(sums)} == {"mine": 5, "theirs": -5}, "each has its own")


def test_an_idempotency_key_is_of_one_workspace(keyed: Keyed, capsys: pytest.CaptureFixture[str]) -> None:
    keys = [create(keyed, capsys, "--workspace", name, "--scope", "admin") for name in ("one", "two")]
    ids = []
    for value, key in enumerate(keys):
        until(lambda key=key: accepted(keyed, key), "the key is known")  # type: ignore[misc]
        headers = {"x-portkey-api-key": key, "idempotency-key": "k"}
        body = {"trace_id": "t", "value": value}
        reply = requests.post(f"{keyed.url}/v1/feedback", json=body, headers=headers, timeout=30)
        assert reply.status_code == 200, reply.text
        ids += reply.json()["feedback_ids"]
    assert len({*ids}) == 2


def raw_call(keyed: Keyed, method: str, path: str, headers: list[tuple[str, str]], body: Any = None) -> tuple[int, str]:
    """Status and body of a call whose headers may stand twice."""
    connection = http.client.HTTPConnection("127.0.0.1", keyed.port, timeout=30)
    sent = b"" if body is None else json.dumps(body).encode()
    try:
        connection.putrequest(method, path)
        for name, value in [("content-type", "application/json"), ("content-length", str(len(sent))), *headers]:
            connection.putheader(name, value)
        connection.endheaders(sent)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_both_halves_refuse_a_call_with_two_keys(keyed: Keyed, capsys: pytest.CaptureFixture[str]) -> None:
    mine, theirs = (create(keyed, capsys, "--workspace", name, "--scope", "admin") for name in ("mine", "theirs"))
    for key in (mine, theirs):
        until(lambda key=key: accepted(keyed, key) and known_to_queries(keyed, key), "the key is known")  # type: ignore[misc]
    one, other, bearer = ("x-portkey-api-key", mine), ("X-Portkey-Api-Key", theirs), ("authorization", f"Bearer {mine}")
    twice = [[one, other], [other, one], [other, bearer], [bearer, ("Authorization", theirs)], [one, other, one]]
    for headers in (*twice, [one, one], [one, bearer], [one, ("authorization", "Bearer sk-provider")]):
        for method, path, good in (("POST", "/v1/feedback", 200), ("GET", "/v1/feedback/x", 404)):
            status, answer = raw_call(keyed, method, path, headers, ONE if method == "POST" else None)
            assert status == (400 if headers in twice else good), (headers, method, answer)
            assert status == good or headers[0][0].lower() in answer.lower()
    for name, values in (("idempotency-key", "ab"), ("x-portkey-trace-id", "ab"), ("x-portkey-metadata", ["{}", "[]"])):
        status, answer = raw_call(keyed, "POST", "/v1/logs", [one, *((name, value) for value in values)], LOG)
        assert (status, json.loads(answer)["error"]["param"]) == (400, name)


def test_an_edge_that_starts_later_knows_all_keys_before_it_serves(
    keyed: Keyed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    secret = create(keyed, capsys, "--scope", "feedback.write")
    late = Edge(tmp_path, keyed.engines.kafka)
    try:
        late.until_listening()

        def takes_the_key() -> bool:
            assert late.post("/v1/feedback", ONE).status_code in (401, 503), "open by accident"
            answered = late.post("/v1/feedback", ONE, {"authorization": f"Bearer {secret}"}).status_code
            assert answered in (503, 200)
            return answered == 200

        until(takes_the_key, "the edge knows the key")
        failed(late.post("/v1/feedback", ONE), 401, "AB05")
        assert "open until" in late.log.read_text()
    finally:
        late.kill()


def test_an_edge_that_must_have_keys_is_closed_from_the_start(broker: Broker, tmp_path: Path) -> None:
    edge = Edge(tmp_path, broker.bootstrap, FEEDBACK_REQUIRE_KEYS="true", FEEDBACK_HOST="0.0.0.0")
    try:
        edge.until_ready()
        failed(edge.post("/v1/feedback", ONE), 401, "AB05")
        assert "is not a loopback address" not in edge.log.read_text()
    finally:
        edge.kill()


def test_an_edge_alone_stays_closed_on_a_topic_that_was_emptied(broker: Broker, tmp_path: Path) -> None:
    edge = Edge(tmp_path, broker.bootstrap, FEEDBACK_CLOSED_MARK=str(tmp_path / "state" / "closed"))
    try:
        edge.until_ready()
        edge.saved(ONE)
        secret, key = new_key("w", ["admin"], datetime.now(UTC))
        asyncio.run(publish(broker.bootstrap, [key]))
        until(lambda: edge.post("/v1/feedback", ONE).status_code == 401, "the key closes it")
        edge.kill()
        broker.kill()
        broker.restart()
        edge.start()
        edge.until_ready()
        for headers in ({}, {"x-portkey-api-key": secret}):
            failed(edge.post("/v1/feedback", ONE, headers), 401, "AB05")
        asyncio.run(publish(broker.bootstrap, reopening_records([], datetime.now(UTC))))
        until(lambda: edge.post("/v1/feedback", ONE).status_code == 200, "an operator has opened it")
    finally:
        edge.kill()


def test_an_edge_without_the_topic_of_keys_says_so_and_lets_in_nobody(broker: Broker, tmp_path: Path) -> None:
    async def all_others() -> None:
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        await wait_until_ready(broker.bootstrap)
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(each.name, 4, 1) for each in TOPICS if each.name != API_KEYS])
        await admin.close()

    broker.kill()
    broker.start()  # without any topic: it keeps nothing
    asyncio.run(all_others())
    edge = Edge(tmp_path, broker.bootstrap)
    try:
        edge.until_listening()
        until(lambda: API_KEYS in edge.get("/readyz").text, "readyz says why")
        assert API_KEYS in failed(edge.post("/v1/feedback", ONE), 503, "AB04")["message"]
        broker.create_topics()
        edge.until_ready()
        edge.saved(ONE)
    finally:
        edge.kill()


async def _whole_topic(bootstrap: str, topic: str) -> list[Any]:
    from runtime.kafka_offsets import end_offsets

    ends = {TopicPartition(*place): end for place, end in (await end_offsets(bootstrap, [topic])).items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    try:
        consumer.assign(list(ends))
        await consumer.seek_to_beginning(*ends)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
    finally:
        await consumer.stop()
    return found


def test_a_key_in_one_place_alone_opens_both_halves_and_is_told_and_brought_to_the_other(
    keyed: Keyed, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    (in_clickhouse, stored), (in_kafka, published) = (new_key("w", ["admin"], now, name) for name in ("one", "other"))
    store(keyed.sql_client, stored)
    asyncio.run(publish(keyed.engines.kafka, [published]))
    for secret in (in_clickhouse, in_kafka):
        until(lambda s=secret: accepted(keyed, s) and known_to_queries(keyed, s), "both halves know it")  # type: ignore[misc]
    capsys.readouterr()
    assert keyed.command("keys", "list") == 1
    told = capsys.readouterr()
    assert f"ClickHouse lacks what Kafka has of {published.key_id}: run `feedback keys sync`" in told.err
    assert f"Kafka lacks what ClickHouse has of {stored.key_id}: run `feedback keys sync`" in told.err
    assert published.key_id in told.out
    # A revocation is found in whichever place it is, and reaches the other.
    assert keyed.command("keys", "revoke", published.key_id) == 0
    until(lambda: not accepted(keyed, in_kafka) and not known_to_queries(keyed, in_kafka), "it is revoked")
    assert keyed.command("keys", "sync") == 0
    assert keyed.command("keys", "list") == 0
    assert capsys.readouterr().err == ""


def test_a_list_without_kafka_says_what_is_not_known(keyed: Keyed, capsys: pytest.CaptureFixture[str]) -> None:
    create(keyed, capsys, "--scope", "admin", "--name", "listed")
    assert cli.main(["keys", "list", "--clickhouse-url", keyed.engines.clickhouse, "--bootstrap", "127.0.0.1:1"]) == 0
    told = capsys.readouterr()
    assert "listed" in told.out
    assert "Kafka at 127.0.0.1:1 does not answer" in told.err


def test_keys_can_be_published_again_and_edges_come_to_the_same(
    keyed: Keyed, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {each.key_id: each for each in stored_keys(keyed.sql_client)}
    assert keyed.command("keys", "sync") == 0
    assert f"{len(keys)} API keys are in Kafka" in capsys.readouterr().out
    assert keyed.command("keys", "publish") == 0, "as it was called before"
    records = asyncio.run(_whole_topic(keyed.engines.kafka, API_KEYS))
    assert {record.key.decode() for record in records} == set(keys)
    newest = {record.key.decode(): record for record in records}
    assert {key: type(keys[key]).model_validate_json(r.value) for key, r in newest.items()} == keys
    assert {key for key, r in newest.items() if dict(r.headers)["version"] == b"2"} == {
        key for key, stored in keys.items() if stored.revoked_at
    }


def test_a_revocation_that_was_written_first_still_counts(keyed: Keyed) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    _, key = new_key("w", ["admin"], now)
    store(keyed.sql_client, key.revoked(now))
    store(keyed.sql_client, key)
    (found,) = [each for each in stored_keys(keyed.sql_client) if each.key_id == key.key_id]
    assert found.revoked_at == now
    asyncio.run(publish(keyed.engines.kafka, [found]))


def test_a_secret_is_in_no_table_no_topic_and_no_log(keyed: Keyed, capsys: pytest.CaptureFixture[str]) -> None:
    secret = create(keyed, capsys, "--scope", "admin")
    until(lambda: accepted(keyed, secret) and known_to_queries(keyed, secret), "the key is known")
    keyed.call("POST", "/v1/feedback", secret, {"trace_id": "t", "value": 99})
    identity = keyed.call("POST", "/v1/logs", secret, {**LOG, "request": {"headers": {"x-portkey-api-key": secret}}})
    assert identity.status_code == 200, identity.text
    assert keyed.command("keys", "revoke", key_id(secret)) == 0
    until(lambda: not accepted(keyed, secret), "the edge refuses it")
    until(keyed.is_settled, "all is stored")
    part = secret.rpartition("_")[2]
    columns = keyed.sql(
        "SELECT table, groupArray(name) AS names FROM system.columns WHERE database = 'feedback'"
        " AND table IN (SELECT name FROM system.tables WHERE database = 'feedback' AND engine LIKE '%MergeTree')"
        " GROUP BY table"
    )
    assert "api_keys" in {row["table"] for row in columns}
    for row in columns:
        text = ", ".join(f"toString({name})" for name in row["names"])
        query = f"SELECT count() FROM feedback.{row['table']} WHERE position(concat('', {text}), {{t:String}}) > 0"
        assert keyed.count(query, t=part) == 0, row["table"]
    for topic in TOPICS:
        for record in asyncio.run(_whole_topic(keyed.engines.kafka, topic.name)):
            assert part.encode() not in (record.value or b"") + (record.key or b""), topic.name
    logs = list(keyed.folder.glob("*.log")) + list(keyed.folder.parent.glob("keys*/*.log"))
    assert len(logs) >= 3
    assert [log for log in logs if part in log.read_text(errors="replace")] == []


def test_a_key_with_a_limit_is_told_what_is_left_and_when_to_come_back(
    keyed: Keyed, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = create(keyed, capsys, "--scope", "admin", "--rate-limit", "20")
    until(lambda: "RateLimit-Limit" in keyed.call("POST", "/v1/feedback", secret, []).headers, "the key is known")
    bulk = [ONE] * 100
    reply = keyed.call("POST", "/v1/feedback", secret, bulk)
    assert reply.status_code == 200, reply.text
    assert [reply.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining")] == ["20", "0"]
    assert 4 <= int(reply.headers["RateLimit-Reset"]) <= 6
    for method, path in (("POST", "/v1/feedback"), ("POST", "/v1/logs"), ("DELETE", "/v1/feedback/x")):
        reply = keyed.call(method, path, secret, ONE)
        assert "20 events a second" in failed(reply, 429, "AB06")["message"]
        assert 1 <= int(reply.headers["Retry-After"]) <= 6
        assert reply.headers["RateLimit-Remaining"] == "0"
    until(lambda: known_to_queries(keyed, secret), "questions are counted apart")
    until(lambda: accepted(keyed, secret), "it may send again", seconds=20)


def test_a_key_asks_no_more_than_its_limit_and_is_told_so_by_every_route(
    keyed: Keyed, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = create(keyed, capsys, "--scope", "admin", "--read-rate-limit", "1")
    until(lambda: accepted(keyed, secret), "the key is known")
    for method, path in (("GET", "/v1/traces/t"), ("GET", "/v1/logs/exports"), ("POST", "/v1/logs/exports")):
        until(lambda: keyed.call("GET", "/v1/feedback/x", secret).status_code == 404, "a second has passed")
        reply = keyed.call(method, path, secret, {})
        if reply.status_code == 429:  # else the machine was so slow that another second has passed
            assert "1 questions a second" in failed(reply, 429, "AB06")["message"]
            assert reply.headers["Retry-After"] == "1"
        assert reply.headers["RateLimit-Limit"] == "1"
    assert accepted(keyed, secret), "events are counted apart"
    other = create(keyed, capsys, "--scope", "admin")
    until(lambda: known_to_queries(keyed, other), "the key is known")
    assert keyed.call("GET", "/v1/feedback/x", other).headers["RateLimit-Limit"] == "500"
