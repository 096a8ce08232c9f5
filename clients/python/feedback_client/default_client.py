"""The client of the whole process, made from the environment at the first use, and its methods as functions."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from feedback_client.client import Client


@cache
def default_client() -> Client:
    """The client of this process, made at the first call. ValueError where a variable of the environment is faulty."""
    return Client()


def feedback(
    value: int,
    weight: float = 1.0,
    *,
    trace_id: str | None = None,
    text: str | None = None,
    user: str | None = None,
    organisation: str | None = None,
    prompt: str | None = None,
    environment: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """`Client.feedback` of the default client."""
    return default_client().feedback(
        value,
        weight,
        trace_id=trace_id,
        text=text,
        user=user,
        organisation=organisation,
        prompt=prompt,
        environment=environment,
        metadata=metadata,
    )


def log(*, request: Mapping[str, Any], response: Mapping[str, Any], **about: Any) -> str:
    """`Client.log` of the default client."""
    return default_client().log(request=request, response=response, **about)
