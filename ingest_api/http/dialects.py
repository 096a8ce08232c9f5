"""The dialects in which clients speak to a publishing endpoint: how a body is written, decided and answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ingest_api.http.body_headers import check_body_headers
from ingest_api.records import Accepted
from runtime.api_key_authentication import Caller
from runtime.http_errors import ApiError, error_body

Headers = Mapping[bytes, bytes]
Decide = Callable[[str, Headers, bytes, Caller], Accepted]

JSON, PROTOBUF = b"application/json", b"application/x-protobuf"


def plain_body(headers: Headers, body: bytes) -> bytes:
    """A body of JSON that is not compressed; ApiError if the headers say that it is anything else."""
    if body:
        check_body_headers(headers)
    return body


@dataclass(frozen=True)
class Dialect:
    """One dialect. `decide` makes the records to publish from path, headers, body and caller, or raises ApiError.

    `reply` makes the body of the 200 where the outcome has no answer of its own, `failure` that of a refusal, and
    `read` the body from headers and bytes. `specific` may know a narrower dialect by the body. `slow` bodies are
    decided in a thread, so that other calls go on.
    """

    decide: Decide
    reply: Callable[[Accepted], bytes]
    media_type: bytes = JSON
    read: Callable[[Headers, bytes], bytes] = plain_body
    failure: Callable[[ApiError], bytes] = error_body
    specific: Callable[[bytes], "Dialect | None"] | None = None
    slow: bool = False


DialectOf = Callable[[Headers], Dialect]
"""The dialect of a request by its headers, before its body is read."""


def media_type_of(headers: Headers) -> bytes:
    """The media type that the headers declare, without parameters; empty if there is none."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
