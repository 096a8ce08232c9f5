"""Who may publish: a caller told from the headers alone, before anything of the body is read."""

from collections.abc import Callable, Mapping

from ingest_api.errors import RefusedError, UnavailableError
from schemas.key_ring import Caller, KeyRefusedError, KeyRing
from schemas.keys import Scope

Headers = Mapping[bytes, bytes]


class Admission:
    """Lets in the callers whose key has one scope.

    `now_ms` is the clock, in Unix milliseconds; `fault` says why nothing can be published now, if it knows.
    """

    def __init__(self, ring: KeyRing, scope: Scope, now_ms: Callable[[], int], fault: Callable[[], str]) -> None:
        self._ring = ring
        self._scope = scope
        self._now_ms = now_ms
        self._fault = fault

    def admit(self, headers: Headers) -> Caller:
        """The caller. RefusedError 401 or 403; UnavailableError while keys are not known."""
        try:
            return self._ring.caller(headers, self._scope, self._now_ms())
        except KeyRefusedError as refusal:
            if refusal.status == 503:
                raise UnavailableError(self._fault() or refusal.message) from None
            raise RefusedError(refusal.message, refusal.param, refusal.status) from None
