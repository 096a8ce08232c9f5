"""Calls to the server: one POST of JSON under an idempotency key, and what came of it."""

import encodings.idna  # noqa: F401  (the first connection would import it, in a thread; see `client`)
import json
import time

import httpx

from feedback_client.answers import Answer, seconds_in

MOST_ANSWER_BYTES = 1_000_000
"""As much of an answer is read, so that none fills the memory of the app: whatever listens at an address answers."""


class Poster:
    """Posts to one server over connections that stay open. It belongs to one thread."""

    def __init__(self, base_url: str, api_key: str | None, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        # A coded answer could be a thousand times longer than what is read of it.
        headers = {"accept-encoding": "identity"} | ({"x-portkey-api-key": api_key} if api_key else {})
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s)

    def post(self, path: str, body: bytes, idempotency_key: str) -> Answer:
        """One attempt. It raises nothing that a network or a server can cause."""
        headers = {"content-type": "application/json", "idempotency-key": idempotency_key}
        try:
            with self._http.stream("POST", path, content=body, headers=headers) as response:
                said = self._read(response)
        except (httpx.HTTPError, OSError) as error:
            return Answer(0, f"{type(error).__name__}: {error}")
        message = "" if response.is_success else _message(response.status_code, said)
        return Answer(response.status_code, message, seconds_in(response.headers.get("retry-after", "")))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _read(self, response: httpx.Response) -> bytes:
        """The answer's body, or its beginning if it is long or slow: what becomes of the call is known without it."""
        said = bytearray()
        until = time.monotonic() + self._timeout_s
        for piece in response.iter_raw():
            said += piece
            if len(said) > MOST_ANSWER_BYTES or time.monotonic() > until:
                break
        return bytes(said)


def _message(status: int, said: bytes) -> str:
    """What the server says is wrong, cut where it is long."""
    try:
        text = str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = said.decode(errors="replace")
    # It goes into the app's log, where it must not begin a line of its own.
    return f"{status} {''.join(each if each.isprintable() else ' ' for each in text[:300])}"
