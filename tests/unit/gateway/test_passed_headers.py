"""Which headers pass the gateway: none that holds a key of this API, or could set one in a browser."""

import pytest

from gateway.passed_headers import to_caller, to_upstream


@pytest.mark.parametrize(
    ("cookie", "passed"),
    [
        (b"feedback_key=fbk_hidden", []),
        (b"a=1; feedback_key=fbk_hidden; b=2", [(b"cookie", b"a=1; b=2")]),
        (b"feedback_key=fbk_hidden;a=1", [(b"cookie", b"a=1")]),
        (b"a=1;feedback_key = fbk_hidden", [(b"cookie", b"a=1")]),
        (b"a=feedback_key; my_feedback_key=2", [(b"cookie", b"a=feedback_key; my_feedback_key=2")]),
        (b"a=1;  b", [(b"cookie", b"a=1;  b")]),
    ],
)
def test_the_session_of_the_dashboard_does_not_pass(cookie: bytes, passed: list[tuple[bytes, bytes]]) -> None:
    """A browser sends the cookies of a host to all its ports, so also to a gateway beside the dashboard."""
    assert to_upstream([(b"cookie", cookie)]) == passed


def test_no_upstream_sets_the_session_of_the_dashboard() -> None:
    given = [(b"Set-Cookie", b"feedback_key=fbk_other; Path=/"), (b"Set-Cookie", b"a=feedback_key")]
    assert to_caller(given, b"t") == [(b"set-cookie", b"a=feedback_key"), (b"x-portkey-trace-id", b"t")]
