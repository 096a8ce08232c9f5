"""Decides who may publish and how much, from the headers alone, before the body is read."""

from collections.abc import Callable, Mapping

from ingest_api.errors import kafka_unavailable
from runtime.api_key_authentication import ApiKeyAuthenticator, Caller
from runtime.http_errors import ApiError
from runtime.rate_limit import Bucket, RateLimits
from schemas.key_scopes import Scope

Headers = Mapping[bytes, bytes]


class AccessControl:
    """The access check of an endpoint: the caller's key must have its scope, and its rate limit must not be used up.

    `now_ms` is the clock, in Unix milliseconds. `fault` returns why nothing can be published now, or an empty text.
    """

    def __init__(
        self,
        authenticator: ApiKeyAuthenticator,
        limits: RateLimits,
        scope: Scope,
        now_ms: Callable[[], int],
        fault: Callable[[], str],
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._scope = scope
        self._now_ms = now_ms
        self._fault = fault

    def admit(self, headers: Headers) -> tuple[Caller, Bucket | None]:
        """The caller, and the bucket from which its events are taken if its key has a rate limit.

        ApiError 400, 401, 403 or 429; 503 while keys are not known.
        """
        now_ms = self._now_ms()
        try:
            caller = self._caller(headers, now_ms)
        except ApiError as refusal:
            if refusal.status == 503:
                raise kafka_unavailable(self._fault() or refusal.message) from None
            raise
        bucket = self._limits.bucket(caller, now_ms)
        if bucket is not None:
            try:
                bucket.admit(now_ms)
            except ApiError as error:
                error.headers = [*error.headers, *bucket.headers()]
                raise
        return caller, bucket

    def _caller(self, headers: Headers, now_ms: int) -> Caller:
        return self._authenticator.authenticate(headers, self._scope, now_ms)
