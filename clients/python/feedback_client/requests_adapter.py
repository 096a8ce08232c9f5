"""An adapter for requests that logs calls to models: `session.mount("https://", LoggingAdapter())`."""

from collections.abc import Iterable, Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from feedback_client.client import Client
from feedback_client.model_calls import DEFAULT_BODY_BYTES, CallLogger, ModelCall, trace_id_in


class LoggingAdapter(HTTPAdapter):
    """Sends as requests does, and logs what is a call to a model."""

    def __init__(
        self,
        *,
        client: Client | None = None,
        hosts: Iterable[str] = (),
        max_body_bytes: int = DEFAULT_BODY_BYTES,
        **options: Any,
    ) -> None:
        self._logger = CallLogger(client, frozenset(hosts), max_body_bytes)
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send the request, and log it if it is a call to a model."""
        call = _begin(self._logger, request)
        if call is None:
            return super().send(request, *arguments, **options)
        try:
            response = super().send(request, *arguments, **options)
        except BaseException as error:
            call.fail(error)
            raise
        call.answered(response.status_code, response.headers.get("content-type", ""))
        response.raw = _LoggedBody(response.raw, call)
        return response


class _LoggedBody:
    """The body of a response as urllib3 gives it; what is read of it goes into the log as well."""

    def __init__(self, raw: Any, call: ModelCall) -> None:
        self._raw, self._call = raw, call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __iter__(self) -> Iterator[bytes]:
        return self.stream()

    def stream(self, *arguments: Any, **options: Any) -> Iterator[bytes]:
        """The decoded pieces, as they come."""
        try:
            for chunk in self._raw.stream(*arguments, **options):
                self._call.receive(chunk)
                yield chunk
        except Exception as error:
            self._call.fail(error)
            raise
        self._call.end()

    def read(self, *arguments: Any, **options: Any) -> bytes:
        """Some of the body, or all of it."""
        try:
            chunk: bytes = self._raw.read(*arguments, **options)
        except Exception as error:
            self._call.fail(error)
            raise
        self._call.receive(chunk)
        return chunk

    def close(self) -> None:
        """Close the connection."""
        try:
            self._raw.close()
        finally:
            self._call.end()

    def release_conn(self) -> None:
        """Give the connection back."""
        self._raw.release_conn()
        self._call.end()


def _begin(logger: CallLogger, request: requests.PreparedRequest) -> ModelCall | None:
    def body() -> bytes | None:
        sent = request.body
        return sent.encode() if isinstance(sent, str) else sent if isinstance(sent, bytes) else None

    headers = request.headers
    sent_trace_id = trace_id_in((name, str(value)) for name, value in headers.items())
    return logger.begin(
        request.method or "", request.url or "", str(headers.get("content-type", "")), body, sent_trace_id
    )
