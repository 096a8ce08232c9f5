"""The dashboard's client of the Feedback API, in the same process or at an address. It uses the key of the viewer."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from runtime.http_errors import ApiError
from runtime.request_headers import KEY_HEADER

Parameters = Sequence[tuple[str, str]]

IN_PROCESS = "http://localhost"
_TIMEOUT_S, _CONNECT_TIMEOUT_S = 35.0, 5.0


class ApiClient:
    """A client of the API at an address, or of an ASGI app in this process. `as_viewer` gives that of one viewer."""

    def __init__(self, address: str = IN_PROCESS, app: Any = None) -> None:
        self.is_in_process = app is not None
        timeout = httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        transport = httpx.ASGITransport(app) if app is not None else None
        self._http = httpx.AsyncClient(base_url=address, transport=transport, timeout=timeout, trust_env=False)

    def as_viewer(self, key: str | None) -> "ViewerApi":
        """The client of a viewer with this key; None: without a key."""
        return ViewerApi(self._http, {KEY_HEADER.decode(): key} if key else {})

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class ViewerApi:
    """The client of one viewer. Its calls raise ApiError if the API does not answer with success."""

    def __init__(self, http: httpx.AsyncClient, headers: Mapping[str, str]) -> None:
        self._http, self._headers = http, headers

    async def get(self, path: str, parameters: Parameters = ()) -> Any:
        """The JSON in the answer to a GET."""
        return await self._call("GET", path, parameters=parameters)

    async def send(self, method: str, path: str, body: Any = None, *, idempotency_key: str = "") -> Any:
        """The JSON in the answer to a call with a JSON body. Under an idempotency key a repeated call counts once."""
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        return await self._call(method, path, body=body, headers=headers)

    async def _call(
        self, method: str, path: str, parameters: Parameters = (), body: Any = None, headers: Mapping[str, str] = {}
    ) -> Any:
        try:
            answer = await self._http.request(
                method,
                path,
                params=httpx.QueryParams(list(parameters)),
                json=body,
                headers={**self._headers, **headers},
            )
        except httpx.InvalidURL as error:
            raise ApiError("this asks for more than an address can hold: ask for less at a time") from error
        except httpx.HTTPError as error:
            raise ApiError("the Feedback API does not answer", status=503) from error
        if not answer.is_success:
            raise _error(answer)
        try:
            return answer.json()
        except ValueError:
            raise ApiError("what answers there is no Feedback API: it sends no JSON", status=502) from None


def in_path(text: str) -> str:
    """Any text as one segment of a path."""
    quoted = quote(text, safe="")
    # A segment of one or two dots would name another folder.
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


def _error(answer: httpx.Response) -> ApiError:
    try:
        detail = answer.json()["error"]
        return ApiError(detail["message"], detail["param"], answer.status_code)
    except (ValueError, KeyError, TypeError):
        return ApiError(f"the Feedback API answered with status {answer.status_code}", status=answer.status_code)
