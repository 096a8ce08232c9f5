"""What FastAPI finds wrong with a call is answered as everything else that is refused."""

from typing import Annotated

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel

from query_api.errors import answer_refusals


class Filters(BaseModel):
    tags: list[str]


class Asked(BaseModel):
    filters: Filters


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    answer_refusals(app)

    @app.get("/things/{number}")
    async def things(number: int, size: Annotated[int, Query(ge=1, le=100)], word: str = "") -> None: ...

    @app.post("/things")
    async def ask(asked: Asked) -> None: ...

    return TestClient(app)


@pytest.mark.parametrize(
    ("path", "param", "message"),
    [
        ("/things/1?size=0", "size", 'size should be greater than or equal to 1, got "0"'),
        ("/things/1", "size", "size is required"),
        ("/things/x?size=1", "number", "number should be a valid integer, unable to parse string as an integer"),
    ],
)
def test_a_parameter_that_is_not_as_declared_is_a_400_that_names_it(
    client: TestClient, path: str, param: str, message: str
) -> None:
    reply = client.get(path)
    body = reply.json()
    assert (reply.status_code, body["error"]["code"], body["error"]["param"]) == (400, "AB01", param)
    assert body["message"].startswith(message)
    assert body["data"]["message"] == body["error"]["message"] == body["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [('{"filters": {"tags": ["a", 5]}}', "filters.tags[1]"), ('{"filters": 1}', "filters"), ("", None), ("{", None)],
)
def test_a_body_that_is_not_as_declared_is_a_400_that_names_its_field(
    client: TestClient, body: str, param: str | None
) -> None:
    reply = client.post("/things", content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
