"""Limits on the head of an HTTP request: 414 or 431 beyond them, and 400 if the request is not HTTP.

uvicorn accepts a head of any size. This protocol refuses a target (path and query) or head that is too large before an
application sees it. After a refusal it reads and discards what the client still sends for two seconds. If it closed the
connection with unread data, the connection would be reset, and the client might never see the answer.
"""

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.http_errors import ApiError, error_body

_READ_ON_S = 2.0


class _HeadRefusedError(Exception):
    """Stops the parser in the middle of a head."""


class LimitedHeadProtocol(HttpToolsProtocol):
    """One connection with these limits."""

    most_target_bytes = 16_384
    most_head_bytes = 65_536

    is_refused = False
    _fault = ApiError("this is not HTTP")
    _parsed_bytes = _unparsed_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse data, unless an earlier request on this connection was refused."""
        if self.is_refused:
            return
        before = self.scope
        super().data_received(data)
        if self.scope is not before or not self._in_new_head():
            self._unparsed_bytes = 0
        elif not self.is_refused:
            # All of it belongs to one head, perhaps to one header, which the parser reports when it is complete.
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > self.most_head_bytes:
                self._fault = self._too_large()
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Start to count the head of the next request."""
        self._parsed_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Receive a piece of the target."""
        super().on_url(url)
        if len(self.url) > self.most_target_bytes:
            self._fault = ApiError(
                f"path and query are longer than {self.most_target_bytes} bytes: ask for less at a time", status=414
            )
            raise _HeadRefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive a header."""
        super().on_header(name, value)
        self._parsed_bytes += len(name) + len(value)
        if len(self.url) + self._parsed_bytes > self.most_head_bytes:
            self._fault = self._too_large()
            raise _HeadRefusedError

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser, or a limit, has refused."""
        if not self.is_refused and self._send_error(self._fault) and self._in_new_head():
            self.transport.write_eof()
            self.loop.call_later(_READ_ON_S, self.transport.close)
        else:
            self.transport.close()
        self.is_refused = True

    def refuse(self, error: ApiError) -> None:
        """Close the connection; a request that has begun and has no answer gets this error."""
        if not self.is_refused:
            self._send_error(error)
        self.transport.close()

    def refusal(self, error: ApiError) -> tuple[str, bytes]:
        """Content type and body of the answer to a refused request."""
        return "application/json", error_body(error)

    def _too_large(self) -> ApiError:
        return ApiError(f"the head of the request is larger than {self.most_head_bytes} bytes", status=431)

    def _send_error(self, error: ApiError) -> bool:
        """Send the error unless an answer was sent or the client is gone; whether it was sent."""
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
        """Whether the connection is between two requests or in the middle of a head."""
        cycle: Any = self.cycle
        return cycle is None or cycle.scope is not self.scope
