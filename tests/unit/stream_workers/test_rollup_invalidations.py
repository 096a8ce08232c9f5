"""The rollup program computes just the hours that workers name, and skips what no worker has written."""

import logging

import pytest

from stream_workers.io.output_messages import rollup_invalidations
from stream_workers.rollup.app import invalidated_hours
from stream_workers.rollup.rollups import Hour

HOUR = 1_793_491_200


def test_the_hours_that_workers_name_are_read_once_each() -> None:
    named = [("a", HOUR), ("b", HOUR), ("a", HOUR), ("a", HOUR + 3600)]
    values = [message.value for message in rollup_invalidations(named)]
    assert invalidated_hours(values) == {Hour("a", HOUR), Hour("b", HOUR), Hour("a", HOUR + 3600)}


def test_what_no_worker_has_written_is_skipped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    strange = [None, b"", b"{", b"[]", b'{"workspace":"a"}', b'{"workspace":"a","hour":"soon"}']
    with caplog.at_level(logging.WARNING):
        assert invalidated_hours([*strange, b'{"workspace":"a","hour":%d,"more":1}' % (HOUR + 5)]) == {Hour("a", HOUR)}
    assert len(caplog.records) == len(strange)
