"""What the supervisor asks of a program that it has started, over a real server."""

import asyncio
from http.server import ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry

from deploy.up.health import Check
from deploy.up.readiness import health, until_http_200
from runtime.health_server import Health, serve_health

WAITING = Health("its tables are not there yet", "clickhouse")


class Answers:
    """What a program says of itself: one answer after the other, and the last again and again."""

    def __init__(self, *ready: Health) -> None:
        self.ready = list(ready)
        self.asked = 0

    def __call__(self) -> Health:
        self.asked += 1
        return self.ready.pop(0) if len(self.ready) > 1 else self.ready[0]


@pytest.fixture
def answers() -> Answers:
    return Answers(WAITING, WAITING, Health())


@pytest.fixture
def server(answers: Answers) -> ThreadingHTTPServer:
    # It is not shut down: a program ends with its server of health.
    return serve_health("127.0.0.1", 0, CollectorRegistry(), Health, answers)


def test_a_program_is_waited_for_until_it_says_that_it_is_ready(server: ThreadingHTTPServer, answers: Answers) -> None:
    asyncio.run(asyncio.wait_for(until_http_200("127.0.0.1", server.server_port, "/readyz"), 10))
    assert answers.asked == 3


def test_a_program_that_waits_is_alive_and_names_the_engine_it_waits_for(server: ThreadingHTTPServer) -> None:
    assert asyncio.run(health("127.0.0.1", server.server_port)) == Check(True, WAITING.fault, WAITING.waits_for)
