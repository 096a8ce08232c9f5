"""One chat through the gateway, from the client's call to its row with the feedback on it."""

from pathlib import Path

from tests.pipeline.engines import until
from tests.pipeline.gateway.conftest import gateway_in
from tests.pipeline.running import Pipeline


def test_a_call_that_passed_is_a_request_with_its_feedback(pipeline: Pipeline, tmp_path: Path) -> None:
    import openai

    with (
        gateway_in(tmp_path, pipeline.url) as gateway,
        openai.OpenAI(api_key="sk-hidden", base_url=f"{gateway.url}/v1") as client,
    ):
        stream = client.chat.completions.with_raw_response.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            extra_headers={"x-portkey-metadata": '{"_user": "ada"}', "x-portkey-provider": "openai"},
        )
        trace_id = stream.headers["x-portkey-trace-id"]
        feedback = pipeline.feedback(trace_id, 7)
        assert "".join(each.choices[0].delta.content or "" for each in stream.parse() if each.choices) == "Hello there"
        until(lambda: pipeline.stored(feedback).get("join_state") == "joined", "the feedback is joined with its call")
    assert pipeline.stored(feedback)["models"] == ["gpt-4o"]
    (row,) = pipeline.sql("SELECT * FROM feedback.request_logs WHERE trace_id = {t:String}", t=trace_id)
    assert (row["provider"], row["_user"], row["total_tokens"], row["status"]) == ("openai", "ada", 7, 200)
    assert "Hello there" in row["response_body"]
    assert "sk-hidden" not in str(row)
