"""The HTTP response to a request that raised an ApiError.

A module of its own, because programs without an API of their own refuse requests too and need no Starlette.
"""

from starlette.responses import Response

from runtime.http_errors import ApiError, error_body


def error_response(error: ApiError) -> Response:
    """The HTTP response to a request that raised this error."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in error.headers}
    return Response(error_body(error), error.status, headers, "application/json")
