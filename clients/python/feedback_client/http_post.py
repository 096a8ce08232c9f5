"""Calls to the server: one POST of JSON under an idempotency key, and what came of it."""

import encodings.idna  # noqa: F401  (the first connection would import it, in a thread; see `client`)

import httpx

from feedback_client.answers import Answer, seconds_in


class Poster:
    """Posts to one server over connections that stay open. It belongs to one thread."""

    def __init__(self, base_url: str, api_key: str | None, timeout_s: float) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            headers={"x-portkey-api-key": api_key} if api_key else {},
            timeout=timeout_s,
        )

    def post(self, path: str, body: bytes, idempotency_key: str) -> Answer:
        """One attempt. It raises nothing that a network or a server can cause."""
        headers = {"content-type": "application/json", "idempotency-key": idempotency_key}
        try:
            response = self._http.post(path, content=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            return Answer(0, f"{type(error).__name__}: {error}")
        return Answer(response.status_code, _message(response), seconds_in(response.headers.get("retry-after", "")))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _message(response: httpx.Response) -> str:
    """What the server says is wrong, cut where it is long."""
    if response.is_success:
        return ""
    try:
        text = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        text = response.text
    return f"{response.status_code} {text[:300]}"
