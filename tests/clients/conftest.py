"""A server of the tests' own, clients of it, and the pipeline that the examples run against."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from feedback_client import Client
from tests.clients.receiver import NoTime, Receiver, receiving
from tests.conftest import Pipelines
from tests.pipeline.running import Pipeline

MakeClient = Callable[..., Client]


@pytest.fixture(scope="session")
def pipeline(pipelines: Pipelines) -> Pipeline:
    return pipelines("embedded")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def clock() -> NoTime:
    return NoTime()


@pytest.fixture
def make_client(receiver: Receiver, clock: NoTime) -> Iterator[MakeClient]:
    """Makes clients of the receiver, on whose clock nothing takes time. They are closed in the end."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client(receiver.url, **{"clock": clock, "linger_s": 0.0, **options}))
        return made[-1]

    yield make
    for client in made:
        client.close(0)
