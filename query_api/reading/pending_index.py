"""Which feedback the records of one partition are about, from the workers' commit to where the partition was read.

Pure. A record is taken once, however often somebody asks: what the workers commit is forgotten, and reading goes on at
the last record that was taken. That record must be there again, the same, or else it is another log.
"""

from typing import NamedTuple

import msgspec


class Record(NamedTuple):
    """What is looked at of a record of Kafka."""

    offset: int
    timestamp: int
    value: bytes | None


class LogChangedError(Exception):
    """The log is not the one that was read before: begin anew."""


class _About(msgspec.Struct, gc=False):
    workspace: str = ""
    feedback_id: str = ""


_decode = msgspec.json.Decoder(_About).decode


class PendingIndex:
    """The feedback that waits in a partition. `begin`, then `take` each record, then `end` at the end of the log."""

    def __init__(self) -> None:
        self._start = 0
        self._last: Record | None = None
        self._is_same_log = True
        # By the latest offset of each, which is the order in which they were put in.
        self._latest: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._latest)

    def begin(self, committed: int) -> int:
        """Forget what is committed; the offset to read from."""
        if self._last is None or not self._start <= committed <= self._last.offset:
            self._latest.clear()
            self._start, self._last, self._is_same_log = committed, None, True
            return committed
        while self._latest and self._latest[first := next(iter(self._latest))] < committed:
            del self._latest[first]
        self._start, self._is_same_log = committed, False
        return self._last.offset

    def take(self, record: Record) -> None:
        """Note whom a record is about; LogChangedError where the first is not the one that was taken last."""
        if not self._is_same_log:
            if record != self._last:
                raise LogChangedError
            self._is_same_log = True
            return
        self._last = record
        try:
            about = _decode(record.value or b"{}")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # a dead letter to be
        key = (about.workspace, about.feedback_id)
        self._latest.pop(key, None)
        self._latest[key] = record.offset

    def end(self) -> None:
        """Say that the log has been read to its end; LogChangedError where the last record was not met again."""
        if not self._is_same_log:
            raise LogChangedError

    def holds(self, workspace: str, feedback_id: str) -> bool:
        """Whether a record that is not committed is about this feedback."""
        return (workspace, feedback_id) in self._latest
