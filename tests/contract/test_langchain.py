"""Portkey's callback handler for LangChain, unmodified, in a real chain whose model answers without a network."""

import json
from typing import TYPE_CHECKING, Any

from tests.contract.conftest import RowOf
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


def offline_model() -> Any:
    """A list of answers that tells its name and tokens as a provider's model does."""
    from langchain_core.language_models import FakeListLLM
    from langchain_core.outputs import Generation, LLMResult

    class Model(FakeListLLM):
        @classmethod
        def is_lc_serializable(cls) -> bool:
            return True

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model": "offline-1", "temperature": 0.5}

        def _generate(self, prompts: list[str], *given: Any, **named: Any) -> LLMResult:
            stop = {"finish_reason": "stop"}
            answers = [[Generation(text=self._call(each), generation_info=stop)] for each in prompts]
            usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
            return LLMResult(generations=answers, llm_output={"token_usage": usage, "model_name": "offline-1-2026"})

    return Model(responses=["4"])


def invoke_logged(pipeline: Pipeline, runnable: "Runnable[Any, str]", given: Any, **metadata: Any) -> None:
    from portkey_ai.langchain import LangchainCallbackHandler

    handler = LangchainCallbackHandler(api_key="any", base_url=f"{pipeline.url}/v1", metadata=metadata)
    assert runnable.invoke(given, config={"callbacks": [handler]}) == "4"


def spans(pipeline: Pipeline, user: str, count: int) -> dict[str, dict[str, Any]]:
    """The requests of a user by the name of their span, as soon as there are so many."""
    query = "SELECT * FROM feedback.request_logs WHERE _user = {u:String}"
    until(lambda: len(pipeline.sql(query, u=user)) == count, "what the handler logged is stored")
    return {row["span_name"]: row for row in pipeline.sql(query, u=user)}


def test_a_chain_is_stored_as_the_spans_of_a_trace_that_feedback_joins(
    pipeline: Pipeline, stored: RowOf, trace: str
) -> None:
    from langchain_core.prompts import ChatPromptTemplate

    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | offline_model()
    invoke_logged(pipeline, chain, {"question": "2+2?"}, traceId=trace, _user=trace, _prompt="sums")
    found = spans(pipeline, trace, 3)
    assert set(found) == {"RunnableSequence", "ChatPromptTemplate", "Model"}
    whole, model = found["RunnableSequence"], found["Model"]
    assert {row["trace_id"] for row in found.values()} == {trace}
    assert whole["parent_span_id"] == ""
    assert {found[name]["parent_span_id"] for name in ("ChatPromptTemplate", "Model")} == {whole["span_id"]}
    assert (model["model"], model["prompt_tokens"], model["completion_tokens"], model["total_tokens"]) == (
        "offline-1", 5, 1, 6,
    )  # fmt: skip
    assert (model["url"], model["status"], model["_prompt"]) == ("chat/completions", 200, "sums")
    (message,) = json.loads(model["request_body"])["messages"]
    assert (message["role"], message["content"]) == ("Human", "2+2?")
    (choice,) = json.loads(model["response_body"])["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("4", "stop")
    joined = stored(pipeline.feedback(trace, 7))
    assert (joined["join_state"], joined["models"], joined["_user"]) == ("joined", ["offline-1"], trace)


def test_a_model_alone_is_stored_too(pipeline: Pipeline, trace: str) -> None:
    invoke_logged(pipeline, offline_model(), "Human: 2+2?", traceId=trace, _user=trace)
    (row,) = spans(pipeline, trace, 1).values()
    assert (row["trace_id"], row["parent_span_id"], row["model"]) == (trace, "", "offline-1")
