"""The types of the bodies that callers send: pydantic validates by them, and OpenAPI shows them.

The limits come from `schemas.limits`. Numbers may also be sent as numeric strings, which OpenAPI does not show. Unknown
keys are ignored, as Portkey ignores them.
"""

from typing import Annotated, Any, Literal, Required

from pydantic import AliasChoices, BeforeValidator, Field, TypeAdapter
from typing_extensions import TypedDict

from ingest_api.validation.json_limits import object_in_text
from ingest_api.validation.numbers import not_boolean, number
from schemas.limits import (
    HIGHEST_AMOUNT,
    HIGHEST_STATUS,
    HIGHEST_VALUE,
    HIGHEST_WEIGHT,
    LOWEST_VALUE,
    LOWEST_WEIGHT,
    MOST_COMMENT_CHARS,
)
from schemas.vote_tokens import MOST_DAYS, MOST_VOTER_CHARS

_AMOUNT = f"{HIGHEST_AMOUNT:g}".replace("+", "")
TIME_NAMES = ("start_time", "started_at", "created_at")
TRACE_ID_NAMES = ("trace_id", "traceID", "traceId", "trace-id")

TraceIdIn = Annotated[
    str | None,
    Field(
        validation_alias=AliasChoices(*TRACE_ID_NAMES),
        description="The trace of the item. If it is missing, the header `x-portkey-trace-id` is used.",
        examples=["request-4711"],
    ),
]
ValueIn = Annotated[
    int,
    Field(
        ge=LOWEST_VALUE,
        le=HIGHEST_VALUE,
        description=f"How good the answer was, −{-LOWEST_VALUE} to {HIGHEST_VALUE}.",
        examples=[5],
    ),
    BeforeValidator(number),
]
WeightIn = Annotated[
    Annotated[float, Field(ge=LOWEST_WEIGHT, le=HIGHEST_WEIGHT, allow_inf_nan=False), BeforeValidator(number)] | None,
    Field(
        description=f"How much it counts, {LOWEST_WEIGHT} to {HIGHEST_WEIGHT}; kept to nine decimals.", examples=[0.5]
    ),
]
MetadataIn = Annotated[
    dict[str, Any] | str | None,
    Field(
        description="Anything about it, as an object or as a string holding the JSON of one. `_user`,"
        " `_organisation`, `_prompt` and `_environment` become columns.",
        examples=[{"_user": "user-7", "_environment": "production"}],
    ),
]


class FeedbackIn(TypedDict, total=False):
    """Feedback on a trace. A weight that is null or missing is 1."""

    trace_id: TraceIdIn
    value: Required[ValueIn]
    weight: WeightIn
    metadata: MetadataIn


class FeedbackChange(TypedDict, total=False):
    """A later opinion. What is null or missing keeps its stored value; metadata, when given, replaces all of it."""

    value: ValueIn | None
    weight: WeightIn
    metadata: MetadataIn


FEEDBACK = TypeAdapter(list[FeedbackIn])
CHANGE = TypeAdapter(list[FeedbackChange])

FEEDBACK_RULES = {
    **dict.fromkeys(TRACE_ID_NAMES, "a string"),
    "value": f"an integer from {LOWEST_VALUE} to {HIGHEST_VALUE}",
    "weight": f"a number from {LOWEST_WEIGHT} to {HIGHEST_WEIGHT}",
    "metadata": "an object or a string holding the JSON of one",
}


class VoteIn(TypedDict, total=False):
    """A vote with a token. The token says the rest; what it says may be sent as well, if it is the same."""

    value: Required[ValueIn]
    comment: Annotated[
        Annotated[str, Field(max_length=MOST_COMMENT_CHARS)] | None,
        Field(description="What the voter says in words; `comment` in the metadata.", examples=["just right"]),
    ]
    trace_id: TraceIdIn
    weight: WeightIn
    metadata: MetadataIn


class TokenIn(TypedDict, total=False):
    """What a vote token is to allow."""

    trace_id: TraceIdIn
    values: Annotated[
        Annotated[list[ValueIn], Field(min_length=1, max_length=21)] | None,
        Field(description="The values that may be voted; `[0, 1]` where it is missing.", examples=[[0, 1]]),
    ]
    weight: WeightIn
    votes: Annotated[
        Literal["one", "many"] | None,
        Field(description="`one` vote of a voter on the trace, which is the default, or `many`, each with a name."),
    ]
    voter: Annotated[
        Annotated[str, Field(min_length=1, max_length=MOST_VOTER_CHARS)] | None,
        Field(
            description="Who votes. Two tokens of one voter on one trace change the same vote. Where it is missing,"
            " `_user` of the metadata; without that, each token is a voter of its own.",
            examples=["user-7"],
        ),
    ]
    expires_in: Annotated[
        Annotated[int, Field(ge=1, le=MOST_DAYS * 86_400)] | None,
        Field(description="Seconds until the token is refused; 86,400 where it is missing.", examples=[3600]),
    ]
    metadata: MetadataIn


VOTE = TypeAdapter(list[VoteIn])
TOKEN = TypeAdapter(list[TokenIn])

VOTE_RULES = FEEDBACK_RULES | {"comment": f"a string of at most {MOST_COMMENT_CHARS} characters"}
TOKEN_RULES = FEEDBACK_RULES | {
    "values": f"a list of 1 to 21 integers from {LOWEST_VALUE} to {HIGHEST_VALUE}",
    "votes": '"one" or "many"',
    "voter": f"a string of 1 to {MOST_VOTER_CHARS} characters",
    "expires_in": f"an integer from 1 to {MOST_DAYS * 86_400}",
}

HeadersIn = Annotated[
    dict[str, Any] | list[Any] | str | None,
    Field(
        description="An object; also a list of pairs, of objects with `name` and `value`, or of lines `name: value`,"
        " or a string that holds one of these. Values of headers that are not known to be harmless are not stored.",
        examples=[{"content-type": "application/json"}],
    ),
]


class RequestIn(TypedDict, total=False):
    """What the app sent to its provider."""

    url: Annotated[
        str | None,
        Field(description="Without its user, its fragment, and the values of all but a few harmless parameters."),
    ]
    method: Annotated[str | None, Field(description="`post` where it is missing.")]
    provider: Annotated[str | None, Field(examples=["openai"])]
    headers: HeadersIn
    body: Annotated[
        Any,
        Field(
            description="`model` and `user` are read from it. Of a large body, only the beginning is stored.",
            examples=[{"model": "m-1"}],
        ),
    ]


class ResponseIn(TypedDict, total=False):
    """What the provider answered."""

    status: Annotated[
        Annotated[int, Field(ge=0, le=HIGHEST_STATUS, examples=[200]), BeforeValidator(number)] | None,
        Field(description="200 where it is missing."),
    ]
    headers: HeadersIn
    response_time: Annotated[
        Annotated[float, Field(ge=0, le=HIGHEST_AMOUNT, examples=[412]), BeforeValidator(number)] | None,
        Field(
            validation_alias=AliasChoices("response_time", "responseTime", "response_time_ms"),
            description="Milliseconds.",
        ),
    ]
    body: Annotated[
        Any,
        Field(description="`model` and `usage` are read from it. Of a large body, only the beginning is stored."),
    ]


class LogIn(TypedDict, total=False):
    """One request that an app has served. Trace and span ids may be here, in metadata or in headers."""

    request: Required[Annotated[RequestIn, BeforeValidator(object_in_text)]]
    response: Required[Annotated[ResponseIn, BeforeValidator(object_in_text)]]
    metadata: MetadataIn
    trace_id: TraceIdIn
    span_id: Annotated[str | None, Field(validation_alias=AliasChoices("span_id", "spanId"))]
    parent_span_id: Annotated[str | None, Field(validation_alias=AliasChoices("parent_span_id", "parentSpanId"))]
    span_name: Annotated[str | None, Field(validation_alias=AliasChoices("span_name", "spanName"))]
    cost: Annotated[
        Annotated[float, Field(ge=-HIGHEST_AMOUNT, le=HIGHEST_AMOUNT), BeforeValidator(number)] | None,
        Field(description="US cents."),
    ]
    start_time: Annotated[
        str | int | float | None,
        BeforeValidator(not_boolean),
        Field(
            validation_alias=AliasChoices(*TIME_NAMES),
            description="When the request began: RFC 3339, or Unix seconds or milliseconds. Now where it is missing.",
            examples=["2026-01-31T12:00:00.123Z"],
        ),
    ]


LOGS = TypeAdapter(list[LogIn])

LOG_RULES = {
    "request": "an object",
    "request.url": "a string",
    "request.method": "a string",
    "request.provider": "a string",
    "request.headers": "an object, a list or a string of headers",
    "response": "an object",
    "response.status": f"an integer from 0 to {HIGHEST_STATUS}",
    "response.headers": "an object, a list or a string of headers",
    **dict.fromkeys(
        (f"response.{name}" for name in ("response_time", "responseTime", "response_time_ms")),
        f"a number of milliseconds from 0 to {_AMOUNT}",
    ),
    "metadata": FEEDBACK_RULES["metadata"],
    **dict.fromkeys(TRACE_ID_NAMES, "a string"),
    **dict.fromkeys(("span_id", "spanId", "parent_span_id", "parentSpanId", "span_name", "spanName"), "a string"),
    "cost": f"a number from -{_AMOUNT} to {_AMOUNT}",
    **dict.fromkeys(TIME_NAMES, "a time"),
}
