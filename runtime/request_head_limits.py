"""The head of a request within limits: beyond them 414 or 431, and 400 for what is no HTTP.

uvicorn takes a head of any size. Here a target (path and query) and a head that are too large are refused before any of
it is parsed by anybody. A client that was refused is read on for a moment and what it sends thrown away: if the
connection were closed with something unread, it would be reset, and the client might never see its answer.
"""

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.http_errors import ApiError, error_body

_READ_ON_S = 2.0


class _HeadRefusedError(Exception):
    """Ends the parser's work."""


class LimitedHeadProtocol(HttpToolsProtocol):
    """One connection."""

    most_target_bytes = 16_384
    most_head_bytes = 65_536

    is_refused = False
    _fault = ApiError("this is not HTTP")
    _parsed_bytes = _unparsed_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what has come, unless a request before it on this connection was refused."""
        if self.is_refused:
            return
        before = self.scope
        super().data_received(data)
        if self.scope is not before or not self._in_new_head():
            self._unparsed_bytes = 0
        elif not self.is_refused:
            # All of it is of one head, perhaps of one header, which the parser tells of when it is whole.
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > self.most_head_bytes:
                self._fault = self._too_large()
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Count from here."""
        self._parsed_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        super().on_url(url)
        if len(self.url) > self.most_target_bytes:
            self._fault = ApiError(
                f"path and query are longer than {self.most_target_bytes} bytes: ask for less at a time", status=414
            )
            raise _HeadRefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._parsed_bytes += len(name) + len(value)
        if len(self.url) + self._parsed_bytes > self.most_head_bytes:
            self._fault = self._too_large()
            raise _HeadRefusedError

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser has stopped at, or what was not given to it."""
        if not self.is_refused and self._tell(self._fault) and self._in_new_head():
            self.transport.write_eof()
            self.loop.call_later(_READ_ON_S, self.transport.close)
        else:
            self.transport.close()
        self.is_refused = True

    def refuse(self, error: ApiError) -> None:
        """Close, with an answer to what has begun to come in and has none yet."""
        if not self.is_refused:
            self._tell(error)
        self.transport.close()

    def refusal(self, error: ApiError) -> tuple[str, bytes]:
        """Content type and body of a refusal."""
        return "application/json", error_body(error)

    def _too_large(self) -> ApiError:
        return ApiError(f"the head of the request is larger than {self.most_head_bytes} bytes", status=431)

    def _tell(self, error: ApiError) -> bool:
        """Answer unless that was done already or the client is gone; whether it was."""
        cycle: Any = self.cycle
        if self._in_new_head():
            is_unanswered = cycle is None or cycle.response_complete
        else:
            is_unanswered = cycle.more_body and not cycle.response_started
        if not is_unanswered or self.transport.is_closing():
            return False
        kind, body = self.refusal(error)
        self.transport.write(
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        return True

    def _in_new_head(self) -> bool:
        """Whether a part of a head has come, or nothing yet, since the last request that was heard of."""
        cycle: Any = self.cycle
        return cycle is None or cycle.scope is not self.scope
