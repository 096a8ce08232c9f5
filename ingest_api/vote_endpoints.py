"""The endpoints of votes: one makes vote tokens for an app, the other takes the votes of web pages that hold one."""

from collections.abc import Callable, Mapping
from secrets import token_hex

from starlette.routing import Route

from ingest_api.access.access_control import AccessControl
from ingest_api.access.vote_access import TOKEN_SCOPE, VoteAccess, Voter
from ingest_api.http.body_room import BodyRoom
from ingest_api.http.cross_origin import CrossOrigin
from ingest_api.http.dialects import Dialect
from ingest_api.http.edge_app import ByMethod, EdgeApp
from ingest_api.http.publish_endpoint import PublishingEndpoint
from ingest_api.http.telemetry import EndpointTelemetry
from ingest_api.kafka.publisher import Publisher
from ingest_api.publishing_endpoints import answer_of
from ingest_api.records import Accepted
from ingest_api.settings import Settings
from ingest_api.validation import vote
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.json_limits import dump
from ingest_api.validation.token_request import claims_asked_for
from runtime.api_key_authentication import Caller
from runtime.api_key_store import ApiKeyStore
from runtime.http_errors import ApiError
from runtime.times import rfc3339
from schemas.ids import trace_key, vote_id
from schemas.murmur2 import murmur2
from schemas.vote_tokens import MOST_TOKEN_CHARS, VoteClaims, sign

TOKENS, VOTE = "/v1/feedback/tokens", "/v1/feedback/vote"
_MOST_BODY_BYTES = 65_536


class VoteCalls:
    """Decides calls that make tokens or vote. `now_ms` is the clock, in Unix milliseconds."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int], api_keys: ApiKeyStore) -> None:
        self._limits = settings.limits
        self._now_ms = now_ms
        self._api_keys = api_keys

    def token(self, _: str, __: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        """The token of `POST /v1/feedback/tokens`, signed by the caller's key."""
        key = self._api_keys.get(caller.key_id)
        if key is None:
            raise ApiError(
                "tokens are signed with an API key, and this server is open: make a key with"
                f" `feedback keys create --scope {TOKEN_SCOPE}` first",
                status=403,
            )
        claims = claims_asked_for(body, self._now_ms() // 1000, token_hex(16), self._limits)
        token = sign(key.key_id, key.hash, dump(claims.model_dump(mode="json")))
        if len(token) > MOST_TOKEN_CHARS:
            raise ApiError(
                f"the token has {len(token)} characters, and at most {MOST_TOKEN_CHARS} fit into a header: give it less"
                " metadata",
                "metadata",
            )
        ids = _ids_of(claims, caller)
        made = {"token": token, "expires_at": rfc3339(claims.expires_at * 1000), "feedback_ids": ids}
        return Accepted(ids, [], answer=dump({"status": "success", "message": "Token successfully made", **made}))

    def vote(self, _: str, headers: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        """The event of `POST` and `PUT /v1/feedback/vote`."""
        return vote.vote(body, headers, _claims_of(caller), self._context(caller), self._limits)

    def undo(self, _: str, headers: Mapping[bytes, bytes], __: bytes, caller: Caller) -> Accepted:
        """The event of `DELETE /v1/feedback/vote`."""
        return vote.undo(headers, _claims_of(caller), self._context(caller))

    def _context(self, caller: Caller) -> CallContext:
        return CallContext(caller.workspace, self._now_ms())


def add_vote_endpoints(
    app: EdgeApp,
    settings: Settings,
    publisher: Publisher,
    token_access: AccessControl,
    vote_access: VoteAccess,
    calls: VoteCalls,
    room: BodyRoom,
) -> None:
    """Add both endpoints to an app that has its publishing endpoints, for its direct calls and as routes."""
    most_bytes = min(_MOST_BODY_BYTES, settings.max_body_bytes)

    def endpoint(access: AccessControl, dialect: Dialect, telemetry: EndpointTelemetry) -> PublishingEndpoint:
        return PublishingEndpoint(publisher, access, most_bytes, lambda _: dialect, telemetry, room)

    saved = answer_of("Feedback successfully saved", "feedback_ids")
    deleted = answer_of("Feedback successfully deleted", "feedback_ids")
    votes, undos, tokens = (
        EndpointTelemetry(method, path, kind)
        for method, path, kind in (("POST", VOTE, "create"), ("DELETE", VOTE, "delete"), ("POST", TOKENS, "create"))
    )
    casting = endpoint(vote_access, Dialect(calls.vote, saved), votes)
    undoing = endpoint(vote_access, Dialect(calls.undo, deleted), undos)
    making = endpoint(token_access, Dialect(calls.token, lambda made: made.answer or b""), tokens)
    by_method = ByMethod(POST=casting, PUT=casting, DELETE=undoing, OPTIONS=casting)
    methods = [each for each in by_method.by_method if each != "OPTIONS"]
    shared = CrossOrigin(by_method, VOTE, methods, settings.browser_origins)
    voting = ByMethod(**dict.fromkeys(by_method.by_method, shared))
    added = {TOKENS: ByMethod(POST=making), VOTE: voting}
    app.publishing |= added
    for path, endpoints in added.items():
        app.router.routes.append(Route(path, endpoints, methods=list(endpoints.by_method)))


def _claims_of(caller: Caller) -> VoteClaims:
    assert isinstance(caller, Voter)
    assert caller.claims is not None
    return caller.claims


def _ids_of(claims: VoteClaims, caller: Caller) -> list[str]:
    """The id of the one vote; none where there may be many."""
    if claims.votes == "many":
        return []
    trace_hash = murmur2(trace_key(caller.workspace, claims.trace_id))
    return [str(vote_id(trace_hash, caller.workspace, claims.trace_id, claims.voter))]
