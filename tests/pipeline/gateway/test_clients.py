"""The clients that apps use speak through the gateway by their base URL alone, streaming and plain, and are logged."""

import json
import subprocess
from typing import Any
from uuid import uuid4

import pytest

from tests.pipeline.gateway.conftest import Gateway
from tests.pipeline.gateway.stand_in import MESSAGE, PLAIN, RESPONSE

SAID: Any = [{"role": "user", "content": "Hi"}]
KEY = "sk-hidden"


@pytest.fixture
def trace() -> str:
    return f"client-{uuid4()}"


def headers(trace: str) -> dict[str, str]:
    return {"x-portkey-trace-id": trace, "x-portkey-metadata": json.dumps({"_user": "ada"})}


def check(gateway: Gateway, trace: str, answer: dict[str, Any], said: str, model: str) -> None:
    log = gateway.logged(trace)
    assert log["metadata"]["_user"] == "ada"
    assert (log["model"], log["status"], log["total_tokens"], log["_user"]) == (model, 200, 7, "ada")
    told = log["response_body"]
    assert (told["usage"], told["model"]) == (answer["usage"], answer["model"])
    assert said in json.dumps(told)
    assert KEY not in json.dumps(log)


@pytest.mark.parametrize("stream", [False, True])
def test_openai_chat(gateway: Gateway, trace: str, stream: bool) -> None:
    import openai

    with openai.OpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=SAID, stream=stream, extra_headers=headers(trace)
        )
        assert raw.headers["x-portkey-trace-id"] == trace
        found: Any = raw.parse()
        if stream:
            said = "".join(each.choices[0].delta.content or "" for each in found if each.choices)
        else:
            said = found.choices[0].message.content
    assert said == "Hello there"
    check(gateway, trace, PLAIN, said, "gpt-4o")
    (seen,) = gateway.seen()["requests"]
    assert [KEY in value for name, value in seen["headers"] if name.lower() == "authorization"] == [True]


@pytest.mark.parametrize("stream", [False, True])
async def test_openai_responses(gateway: Gateway, trace: str, stream: bool) -> None:
    import openai

    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        found: Any = await client.responses.create(
            model="gpt-5", input="Hi", stream=stream, extra_headers=headers(trace)
        )
        if stream:
            said = "".join([each.delta async for each in found if each.type == "response.output_text.delta"])
        else:
            said = found.output_text
    assert said == "Hello there"
    check(gateway, trace, RESPONSE, said, "gpt-5")
    assert gateway.logged(trace)["response_body"] == RESPONSE


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_messages(gateway: Gateway, trace: str, stream: bool) -> None:
    import anthropic

    asked: Any = {"model": "claude-x", "messages": SAID, "max_tokens": 9, "extra_headers": headers(trace)}
    with anthropic.Anthropic(api_key=KEY, base_url=gateway.url, max_retries=0) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                said = "".join(events.text_stream)
        else:
            found: Any = client.messages.create(**asked)
            said = found.content[0].text
    assert said == "Hello there"
    check(gateway, trace, MESSAGE, said, "claude-x")
    assert gateway.logged(trace)["response_body"] == MESSAGE


@pytest.mark.parametrize("stream", [False, True])
def test_portkeys_sdk_with_a_trace_id_and_metadata(gateway: Gateway, trace: str, stream: bool) -> None:
    from portkey_ai import Portkey

    client: Any = Portkey(
        api_key=KEY,
        base_url=f"{gateway.url}/v1",
        provider="openai",
        Authorization="Bearer sk-of-the-provider",
        custom_host=f"{gateway.upstream_url}/v1",
    )
    traced = client.with_options(trace_id=trace, metadata={"_user": "ada"})
    found = traced.chat.completions.create(model="gpt-4o", messages=SAID, stream=stream)
    if stream:
        said = "".join(each.choices[0].delta.content or "" for each in found if each.choices)
    else:
        said = found.choices[0].message.content
    assert said == "Hello there"
    check(gateway, trace, PLAIN, said, "gpt-4o")
    assert gateway.logged(trace)["provider"] == "openai"
    (seen,) = gateway.seen()["requests"]
    sent = {name.lower(): value for name, value in seen["headers"]}
    assert sent["authorization"] == "Bearer sk-of-the-provider"
    assert not [name for name in sent if name.startswith("x-portkey")]
    assert seen["target"] == "/v1/chat/completions"


def test_the_errors_of_a_provider_are_those_of_its_client(gateway: Gateway, trace: str) -> None:
    import openai

    with (
        openai.OpenAI(api_key=KEY, base_url=f"{gateway.url}/limited", max_retries=0) as client,
        pytest.raises(openai.RateLimitError, match="slow down"),
    ):
        client.chat.completions.create(model="gpt-4o", messages=SAID, extra_headers=headers(trace))
    assert gateway.logged(trace)["status"] == 429


def test_curl(gateway: Gateway, trace: str) -> None:
    told = [f"-H{name}: {value}" for name, value in headers(trace).items()]
    run = subprocess.run(
        [
            *("curl", "-sS", "--noproxy", "*", f"{gateway.url}/v1/chat/completions", *told),
            *("-Hcontent-type: application/json", f"-Hauthorization: Bearer {KEY}"),
            *("-d", json.dumps({"model": "gpt-4o", "messages": SAID})),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout) == PLAIN
    check(gateway, trace, PLAIN, "Hello there", "gpt-4o")
