"""A header that says who calls, or what the call is, has one value or none that anybody acts on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http_errors import ApiError
from runtime.request_headers import headers_of

SINGLE = ("x-portkey-api-key", "authorization", "idempotency-key", "content-type", "content-encoding",
          "x-portkey-trace-id", "x-portkey-metadata", "x-portkey-of-tomorrow")  # fmt: skip
Sent = list[tuple[bytes, bytes]]


@pytest.mark.parametrize("name", SINGLE)
def test_two_values_of_a_header_that_is_no_list_are_refused_by_its_name(name: str) -> None:
    sent: Sent = [(name.encode(), b"one"), (b"accept", b"*/*"), (name.encode(), b"other")]
    with pytest.raises(ApiError, match=f"^{name} came more than once") as refused:
        headers_of(sent)
    assert refused.value.param == name
    assert headers_of([*sent[:2], sent[0]]) == dict(sent[:2])


def test_values_of_a_list_are_joined_in_order() -> None:
    sent: Sent = [(b"baggage", b"a=1"), (b"traceparent", b"x"), (b"baggage", b"b=2"), (b"baggage", b"a=1")]
    assert headers_of(sent) == {b"baggage": b"a=1, b=2, a=1", b"traceparent": b"x"}


@given(st.lists(st.tuples(st.sampled_from([b"x-portkey-api-key", b"authorization", b"b"]), st.binary(max_size=2))))
def test_nobody_who_looks_at_the_first_or_the_last_value_is_told_another(sent: Sent) -> None:
    try:
        headers = headers_of(sent)
    except ApiError:
        return
    for name, value in sent:
        assert headers[name] == value if name != b"b" else value in headers[name]
