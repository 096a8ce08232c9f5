"""The admin part of the HTTP API and its pages over real engines: open first, then closed by the first key."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from html import unescape
from typing import Any

import pytest
import requests

from deploy import cli
from operations.retention import store_setting
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from tests.contract.test_openapi import check_answer, operations
from tests.pipeline.engines import PARTITIONS, embedded, until
from tests.pipeline.ingest_api.edge_fixtures import failed
from tests.pipeline.running import Pipeline

PAGES = ("/pipeline", "/pipeline/status", "/pipeline/waiting", "/keys")
FORMS = ("/pipeline/audit", "/pipeline/redrive", "/keys", "/keys/revoke")
KEY = re.compile(r"fbk_[0-9a-f]{12}_[0-9a-f]{64}")
AT = "2026-01-31T12:00:00Z"
Json = dict[str, Any]


class Administered(Pipeline):
    """The whole API of a server, and those who look at it."""

    key = ""

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> requests.Response:
        used = self.key if key is None else key
        headers = {"x-portkey-api-key": used} if used else {}
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=60)

    def must(self, method: str, path: str, body: Any = None, key: str | None = None) -> Json:
        reply = self.call(method, path, body, key)
        assert reply.status_code == 200, reply.text
        found: Json = reply.json()
        return found

    def page(self, path: str, key: str | None = None) -> requests.Response:
        return requests.get(self.url + path, cookies=self.cookies(key), allow_redirects=False, timeout=60)

    def submit(self, path: str, form: Json, key: str | None = None, site: str = "same-origin") -> requests.Response:
        headers = {"sec-fetch-site": site}
        return requests.post(
            self.url + path, form, headers=headers, cookies=self.cookies(key), allow_redirects=False, timeout=60
        )

    def cookies(self, key: str | None) -> dict[str, str]:
        used = self.key if key is None else key
        return {"feedback_key": used} if used else {}

    def command(self, *words: str) -> int:
        where = ["--clickhouse-url", self.engines.clickhouse]
        return cli.main([*words, *where, *([] if words[0] == "reconcile" else ["--bootstrap", self.engines.kafka])])

    def letters(self, **parameters: str) -> list[Json]:
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        found: list[Json] = self.must("GET", f"/v1/admin/dead-letters?{query}")["data"]
        return found

    def bury(self, value: bytes, letters: int) -> None:
        """Write a record that becomes a dead letter, the so-manieth."""
        self.produce(FEEDBACK_EVENTS, 0, value)
        until(lambda: self.count("SELECT count() FROM feedback.dead_letters") == letters, "the record is dead")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Administered]:
    with ExitStack() as stack:
        engines = stack.enter_context(embedded(tmp_path_factory.mktemp("admin")))
        engines.prepare()
        yield stack.enter_context(Administered(engines, tmp_path_factory.mktemp("administered")))


def an_update(trace: str, workspace: str = "default", **more: Any) -> tuple[str, bytes]:
    """A change of feedback that nobody has given, and its id."""
    identity = str(ids.new_id(murmur2(ids.trace_key(workspace, trace)), 1_780_000_000_000))
    event = {"event": "update", "workspace": workspace, "feedback_id": identity, "value": 7, "updated_at": AT}
    return identity, json.dumps(event | more).encode()


MINE, UPDATE = an_update("of-mine", metadata={"note": "<script>alert(1)</script>"})
_, THEIRS = an_update("of-theirs", "others")
OF_NOBODY = [
    b"poison \0\xff",
    b'{"workspace":"default","workspace":"others"}',
    b'{"workspace":"others","workspace":"default"}',
    b'{"workspace":"no workspace"}',
    b'[{"workspace":"default"}]',
]


def test_an_open_server_tells_the_letters_of_its_workspace_and_of_nobody(server: Administered) -> None:
    for number, value in enumerate((UPDATE, THEIRS, *OF_NOBODY), start=1):
        server.bury(value, number)
    found = server.must("GET", "/v1/admin/dead-letters")
    assert [each["sequence"] for each in found["data"]] == [6, 5, 4, 3, 2, 0], "newest first, and none of the others'"
    assert sum(each["count"] for each in found["reasons"]) == 6
    poison, mine = found["data"][-2], found["data"][-1]
    assert (poison["reason"], poison["value_encoding"], poison["value_bytes"]) == ("not_utf8", "base64", 9)
    assert (mine["reason"], mine["value"], mine["feedback_id"]) == ("unknown_feedback", UPDATE.decode(), MINE)
    paged, cursor = [], ""
    while True:
        page = server.must("GET", f"/v1/admin/dead-letters?page_size=2{cursor}")
        paged += page["data"]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == found["data"]
    assert [each["place"] for each in server.letters(reason="not_utf8")] == [poison["place"]]
    error = failed(server.call("GET", "/v1/admin/dead-letters?cursor=d1-9-0-0"), 400, "AB01")
    assert error["param"] == "cursor"


def test_the_numbers_of_the_pipeline_are_those_of_its_books(server: Administered) -> None:
    server.feedback("joined-later", 3)
    until(server.is_settled, "all is stored")
    audited = server.must("POST", "/v1/admin/audit")
    assert (audited["differences"], audited["kinds"], audited["is_whole"]) == (0, {}, True)
    status = server.must("GET", "/v1/admin/pipeline")
    assert status["accepted"] == sum(server.accepted().values()) == status["stored"] + status["dead"]
    assert (status["dead"], status["waiting"], status["lost"]) == (7, 0, 0)
    assert status["checks"]["audit"] == audited
    assert status["checks"]["reconcile"] is None
    assert {each["topic"]: 0 for each in status["partitions"]}.keys() >= {FEEDBACK_EVENTS, "rollup.touches.v1"}
    assert len(status["partitions"]) == 3 * PARTITIONS
    orphans = server.must("GET", "/v1/admin/orphans")
    assert (orphans["pending"], orphans["data"][0]["oldest_trace_id"]) == (1, "joined-later")


def test_what_is_stored_of_topics_before_is_told_beside_the_numbers_of_new_ones(server: Administered) -> None:
    """As after a start of the embedded broker, whose page said that nothing was stored."""
    before = server.must("GET", "/v1/admin/pipeline")
    assert before["stored_earlier"] == 0
    store_setting(server.sql_client, "offset_base", 10**9)
    try:
        until(lambda: server.must("GET", "/v1/admin/pipeline")["stored"] == 0, "the next look has the new base")
        assert server.must("GET", "/v1/admin/pipeline")["stored_earlier"] == before["stored"]
        said = unescape(server.page("/pipeline/status").text)
        assert f"ClickHouse has {before['stored']} records of earlier topics as well" in said
    finally:
        store_setting(server.sql_client, "offset_base", 0)
    until(lambda: server.must("GET", "/v1/admin/pipeline")["stored_earlier"] == 0, "the next look has the old base")


def test_what_an_audit_finds_is_told_until_the_next_finds_it_no_more(server: Administered) -> None:
    server.sql_client.command(
        "INSERT INTO feedback.dead_letters (topic, kafka_partition, sequence, reason)"
        f" VALUES ('{FEEDBACK_EVENTS}', 0, 999, 'planted')"
    )
    assert server.command("audit") == 1
    assert server.command("reconcile", "--settle", "0") == 1, "nothing keeps rollups here"
    until(lambda: server.must("GET", "/v1/admin/pipeline")["checks"]["audit"]["kinds"], "the next look has it")
    found = server.must("GET", "/v1/admin/pipeline")["checks"]
    assert found["audit"]["kinds"] == {"strangers": 1}
    assert found["reconcile"]["differences"] == sum(found["reconcile"]["kinds"].values()) > 0
    assert "The last audit found 1 record " in unescape(server.page("/pipeline/status").text)
    server.sql_client.command(
        "ALTER TABLE feedback.dead_letters DELETE WHERE reason = 'planted' SETTINGS mutations_sync = 2"
    )
    reply = server.submit("/pipeline/audit", {})
    assert (reply.status_code, reply.headers["location"]) == (303, "/pipeline")
    assert "nothing differs" in server.page("/pipeline").text


def test_a_page_shows_bytes_so_that_they_do_nothing(server: Administered) -> None:
    text = server.page("/pipeline").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "70 6f 69 73 6f 6e 20 00 ff" in text, "what is no text stands as hex"
    assert "others" not in re.sub(r"workspace&#34;:&#34;others", "", text)


def test_a_letter_that_is_redriven_from_the_page_goes_through_once_its_cause_is_mended(server: Administered) -> None:
    place = next(each["place"] for each in server.letters() if each["feedback_id"] == MINE)
    created = {"event": "create", "workspace": "default", "feedback_id": MINE, "trace_id": "of-mine", "value": 1,
               "weight": 1, "metadata": {}, "created_at": AT}  # fmt: skip
    server.produce(FEEDBACK_EVENTS, 0, json.dumps(created).encode())
    until(lambda: server.stored(MINE).get("value") == 1, "the feedback is there after all")
    form = {"places": place, "query": "reason=unknown_feedback"}
    assert "changed_since=1" in server.submit("/pipeline/redrive", form).headers["location"]
    told = server.submit("/pipeline/redrive", form | {"force": "yes"}).headers["location"]
    assert told == "/pipeline?reason=unknown_feedback&sent=1#letters"
    assert "1 sent through again" in server.page(told).text
    until(lambda: server.stored(MINE).get("value") == 7, "the change is carried out")
    body = {"places": [place, f"{FEEDBACK_EVENTS}/0/1", f"{FEEDBACK_EVENTS}/3/77"], "force": True}
    answer = server.must("POST", "/v1/admin/dead-letters/redrive", body)
    assert answer["sent"] == []
    assert {each["place"]: each["why"] for each in answer["left"]} == dict(
        zip(body["places"], ("sent_before", "unknown", "unknown"), strict=True)
    )
    assert server.letters(reason="unknown_feedback")[0]["redriven"]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_site_changes_nothing(server: Administered, path: str) -> None:
    for site in ("cross-site", "same-site", "none"):
        form = {"scope.admin": "on", "places": f"{FEEDBACK_EVENTS}/0/0", "force": "yes", "again": "yes"}
        assert server.submit(path, form, site=site).status_code == 403
    assert server.must("GET", "/v1/admin/keys")["data"] == []
    assert server.count("SELECT count() FROM feedback.redrives") == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["feedback.read"]}, "scopes"),
        ({"scopes": ["everything"]}, "scopes[0]"),
        ({"scopes": ["admin"], "workspace": "others"}, "workspace"),
        ({"scopes": ["admin"], "name": "a\nb"}, "name"),
        ({"scopes": ["admin"], "expires": "yesterday"}, "expires"),
        ({"scopes": ["admin"], "expires": "2020-01-01"}, "expires"),
        ({"scopes": ["admin"], "rate_limit_per_s": -1}, "rate_limit_per_s"),
        ({"scopes": ["admin"], "rate_limit_per_s": "5"}, "rate_limit_per_s"),
    ],
)
def test_an_order_that_is_not_valid_makes_no_key_and_closes_nothing(
    server: Administered, body: Json, param: str
) -> None:
    assert failed(server.call("POST", "/v1/admin/keys", body), 400, "AB01")["param"] == param
    assert server.must("GET", "/v1/admin/keys")["data"] == []


def test_the_first_key_closes_the_server_and_signs_in_whoever_made_it(server: Administered) -> None:
    page = server.page("/keys").text
    assert "The first key closes it" in page
    reply = server.submit("/keys", {"name": "<b>first</b>", "scope.admin": "on", "expires": "30d"})
    assert reply.status_code == 200
    (secret,) = set(KEY.findall(reply.text))
    cookie = reply.headers["set-cookie"]
    assert f"feedback_key={secret}" in cookie
    assert "HttpOnly" in cookie
    assert "<b>first" not in reply.text
    assert server.call("GET", "/v1/caller").status_code == 401, "closed at once in the process that made it"
    server.key = secret
    assert server.must("GET", "/v1/caller")["scopes"] != []
    again = server.page("/keys")
    assert again.status_code == 200
    assert not KEY.search(again.text), "the text is shown once"
    (told,) = server.must("GET", "/v1/admin/keys")["data"]
    assert (told["key_id"], told["state"], told["is_callers"], told["warning"]) == (secret[4:16], "active", True, None)
    assert secret not in json.dumps(told)
    assert server.command("keys", "list") == 0, "both places have it"


def test_without_a_key_pages_lead_to_the_sign_in_and_forms_do_nothing(server: Administered) -> None:
    for path in PAGES:
        assert server.page(path, key="").headers["location"].startswith("/sign-in")
    for path in FORMS:
        assert server.submit(path, {"scope.admin": "on"}, key="").headers["location"].startswith("/sign-in")


def test_a_key_of_a_workspace_administers_that_workspace_alone(
    server: Administered, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.command("keys", "create", "--workspace", "others", "--scope", "admin") == 0
    theirs = KEY.findall(capsys.readouterr().out)[0]
    until(lambda: server.call("GET", "/v1/caller", key=theirs).status_code == 200, "the key is known")
    mine = server.key[4:16]
    letters = server.must("GET", "/v1/admin/dead-letters", key=theirs)["data"]
    assert [each["value"] for each in letters] == [THEIRS.decode()]
    assert [each["key_id"] for each in server.must("GET", "/v1/admin/keys", key=theirs)["data"]] == [theirs[4:16]]
    assert failed(server.call("DELETE", f"/v1/admin/keys/{mine}", key=theirs), 404, "AB02")["param"] == "key_id"
    made = server.must("POST", "/v1/admin/keys", {"scopes": ["logs.read"]}, key=theirs)
    assert (made["workspace"], made["closed_the_server"]) == ("others", False)
    values = [each["value"] for each in server.letters()]
    assert values == [UPDATE.decode()], "from the first key on, what names no workspace is told to nobody"
    assert server.must("GET", "/v1/caller")["key_id"] == mine


def test_a_key_is_made_used_and_revoked(server: Administered) -> None:
    order = {"name": "reader", "scope.feedback.read": "on", "read_rate_limit_per_s": "700"}
    (secret,) = set(KEY.findall(server.submit("/keys", order).text))
    told = next(each for each in server.must("GET", "/v1/admin/keys")["data"] if each["name"] == "reader")
    assert (told["scopes"], told["read_rate_limit_per_s"], told["expires_at"]) == (["feedback.read"], 700, None)
    assert server.must("GET", "/v1/caller", key=secret)["scopes"] == ["feedback.read"]
    for path in PAGES:
        assert server.page(path, key=secret).status_code == 403
    assert "Keys</a>" not in server.page("/sign-in", key=secret).text
    for path in FORMS:
        assert server.submit(path, {"scope.admin": "on", "key_id": secret[4:16]}, key=secret).status_code == 403
    assert server.submit("/keys/revoke", {"key_id": secret[4:16]}).status_code == 303
    assert "was revoked" in failed(server.call("GET", "/v1/caller", key=secret), 401, "AB05")["message"]
    assert server.command("keys", "list") == 0
    assert server.must("DELETE", f"/v1/admin/keys/{secret[4:16]}")["state"] == "revoked", (
        "revoking it again is no error"
    )


def test_a_form_that_is_not_valid_comes_back_as_it_was_filled_in(server: Administered) -> None:
    form = {"name": "wrong", "scope.logs.read": "on", "expires": "soon"}
    reply = server.submit("/keys", form)
    assert reply.status_code == 400
    assert 'value="wrong"' in reply.text
    assert "is not a time: expected 30d" in unescape(reply.text)
    assert not KEY.search(reply.text)
    assert "choose at least one scope" in server.submit("/keys", {"name": "none"}).text


def test_answers_about_keys_are_as_they_are_documented(server: Administered) -> None:
    document = requests.get(f"{server.url}/openapi.json", timeout=30).json()
    known = {("POST", "/v1/admin/keys"), ("DELETE", "/v1/admin/keys/{key_id}"), ("GET", "/v1/admin/keys")}
    told = {(method.upper(), path): each for path, of in document["paths"].items() for method, each in of.items()}
    assert not known & {(method.upper(), path) for method, path, _ in operations(document) if method != "get"}
    body = told["POST", "/v1/admin/keys"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        reply = server.call("POST", "/v1/admin/keys", example["value"])
        check_answer(document, told["POST", "/v1/admin/keys"], reply)
        one = reply.json()["key_id"]
        check_answer(
            document, told["DELETE", "/v1/admin/keys/{key_id}"], server.call("DELETE", f"/v1/admin/keys/{one}")
        )
    for reply in (server.call("POST", "/v1/admin/keys", {"scopes": 1}), server.call("POST", "/v1/admin/keys", [])):
        check_answer(document, told["POST", "/v1/admin/keys"], reply)
    check_answer(document, told["GET", "/v1/admin/keys"], server.call("GET", "/v1/admin/keys"))


def test_no_log_holds_the_text_of_a_key(server: Administered) -> None:
    logs = "".join(each.read_text() for each in server.folder.glob("*.log"))
    assert f"API key {server.key[4:16]} of the workspace default was made by anybody" in logs
    assert not KEY.search(logs)
