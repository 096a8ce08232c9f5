"""Asks running programs over HTTP whether they are ready and healthy, and the engines whether they answer."""

import asyncio
import http.client
import json

from aiokafka.errors import KafkaError

from deploy.up.health import Check
from runtime.kafka_admin import broker_answers

_ANSWER_S = 3.0


async def until_http_200(host: str, port: int, path: str) -> None:
    """Return once a GET is answered with 200."""
    while True:
        status, _ = await asyncio.to_thread(_get, host, port, path)
        if status == 200:
            return
        await asyncio.sleep(0.1)


async def health(host: str, port: int) -> Check:
    """The health of a program, from its /healthz and /readyz."""
    status, answer = await asyncio.to_thread(_get, host, port, "/healthz")
    if status != 200:
        return Check(False, _message(answer))
    status, answer = await asyncio.to_thread(_get, host, port, "/readyz")
    if status == 200:
        return Check(True)
    return Check(status > 0, _message(answer) or f"/readyz answers {status}", str(answer.get("waits_for") or ""))


async def text_at(host: str, port: int, path: str) -> str | None:
    """The body of a GET that is answered with 200; None for any other answer."""
    status, body = await asyncio.to_thread(_read, host, port, path)
    return body.decode(errors="replace") if status == 200 else None


async def clickhouse_health(host: str, port: int, *, https: bool = False) -> Check:
    """Whether ClickHouse's HTTP interface answers."""
    status, _ = await asyncio.to_thread(_get, host, port, "/ping", https)
    return Check(status == 200)


async def kafka_health(bootstrap: str) -> Check:
    """Whether Kafka answers."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            return Check(await broker_answers(bootstrap))
    except (KafkaError, OSError, TimeoutError):
        return Check(False)


def _message(answer: dict[str, object]) -> str:
    return str(answer.get("message") or "")


def _get(host: str, port: int, path: str, https: bool = False) -> tuple[int, dict[str, object]]:
    """The status of an answer, 0 where there is none in time, and its body where that is a JSON object."""
    status, body = _read(host, port, path, https)
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return status, answer if isinstance(answer, dict) else {}


def _read(host: str, port: int, path: str, https: bool = False) -> tuple[int, bytes]:
    """The status of an answer, 0 where there is none in time, and its body."""
    # Not urllib, which would use a proxy from the environment.
    make = http.client.HTTPSConnection if https else http.client.HTTPConnection
    connection = make(host, port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, OverflowError, http.client.HTTPException):  # the second for a port beyond the last
        return 0, b""
    finally:
        connection.close()
