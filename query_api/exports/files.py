"""The files of exports in their folder: named, written, measured, and removed when their time is over.

A file is written under another name and renamed when it is whole, so that a file there is a whole one. Other files in
the folder are left alone.
"""

import contextlib
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from query_api.exports.quota import Disk
from runtime.fast_metrics import Labels
from runtime.folder_errors import why_unusable
from runtime.http_errors import ApiError

log = logging.getLogger(__name__)

_OURS = re.compile(r"[0-9a-f-]{36}-[0-9a-f]{32}\.(jsonl|csv|parquet)(\.part)?")
_PRIVATE = 0o600
_ABANDONED_S = 600.0
"""A part that nobody has touched for so long belongs to a process that died."""


@contextmanager
def folder_in_use(folder: Path, what: str) -> Iterator[None]:
    """Turn errors of the system about this folder into ApiError 507: it is not an engine that does not answer."""
    try:
        yield
    except OSError as error:
        log.warning("%s: the folder of exported files %s: %s", what, folder, why_unusable(folder, error))
        raise ApiError(
            f"the folder of exported files cannot be used ({error.strerror}), so {what}: whoever runs the server mends"
            " FEEDBACK_EXPORT_DIR",
            status=507,
        ) from error


class DamagedFileError(Exception):
    """What came is not a whole file of its format."""


def path_of(folder: Path, export_id: str, runner: str, form: str) -> Path:
    """Where the whole file of a run is."""
    return folder / f"{export_id}-{runner}.{form}"


class Part:
    """A file that is being written; `finish` makes it whole, and leaving without it removes it."""

    def __init__(self, path: Path, form: str) -> None:
        self._path, self._part, self._form = path, path.with_name(f"{path.name}.part"), form
        self.bytes_written = 0
        self._lines = 0
        self._in_quotes = False
        self._end = b""

    def __enter__(self) -> "Part":
        self._part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(self._part, "xb", opener=_private)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._file.close()  # on a full disk what is left in its buffer cannot be written either
        finally:
            self._part.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """The next bytes; OSError where the disk takes no more."""
        self._file.write(chunk)
        self.bytes_written += len(chunk)
        self._end = chunk[-1:] or self._end
        if self._form == "jsonl":
            self._lines += chunk.count(b"\n")
        elif self._form == "csv":
            lines, self._in_quotes = lines_outside_quotes(chunk, self._in_quotes)
            self._lines += lines

    @property
    def rows_done(self) -> int | None:
        """Rows written; None for Parquet, which tells them at its end."""
        if self._form == "parquet":
            return None
        # The first line of CSV has the names.
        return max(self._lines - (self._form == "csv"), 0)

    def touch(self) -> None:
        """Say that it is still written."""
        os.utime(self._part)

    def finish(self) -> int:
        """Make it the whole file; how many rows it has. DamagedFileError where it is cut short."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._form == "parquet":
            rows = _rows_of_parquet(self._part)
        elif (self.bytes_written and self._end != b"\n") or self._in_quotes:
            raise DamagedFileError("the last row is cut short")
        else:
            rows = self.rows_done or 0
        self._part.rename(self._path)
        return rows


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def lines_outside_quotes(chunk: bytes, in_quotes: bool) -> tuple[int, bool]:
    """How many lines of CSV end in a chunk, and whether the next one begins within quotes."""
    marks = (b'"' if in_quotes else b"") + re.sub(rb'[^"\n]+', b"", chunk)
    outside = re.sub(rb'"[^"]*"', b"", marks)
    outside, opened, _ = outside.partition(b'"')
    return outside.count(b"\n"), bool(opened)


def free_bytes(folder: Path) -> dict[Labels, float]:
    """What is free on the folder's disk, as a gauge shows it; nothing while there is no such folder."""
    try:
        return {(): shutil.disk_usage(folder).free}
    except OSError:
        return {}


def sweep(folder: Path, keep_s: float) -> int:
    """Remove the files that are older than `keep_s` and the parts of the dead; how many these were.

    Those that stay are for nobody else to read, also where an earlier version has made them.
    """
    removed = 0
    for path, status, is_part in _ours(folder):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - status.st_mtime > (_ABANDONED_S if is_part else keep_s):
                path.unlink()
                removed += 1
            elif stat.S_IMODE(status.st_mode) != _PRIVATE:
                path.chmod(_PRIVATE)
    return removed


def remove(folder: Path, export_id: str) -> None:
    """Remove the files of an export, whoever has made them."""
    for path, _, _ in _ours(folder):
        if path.name.startswith(export_id):
            path.unlink(missing_ok=True)


def disk(folder: Path) -> Disk:
    """What our files in the folder take, and what is free where it is, or will be."""
    used = sum(status.st_size for _, status, _ in _ours(folder))
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    return Disk(used, shutil.disk_usage(there).free)


def _ours(folder: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """Our files, what the system tells of them, and whether they are parts."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if ours := _OURS.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):
                yield path, path.stat(), ours[2] is not None


def _rows_of_parquet(path: Path) -> int:
    # Loaded when it is first needed: it takes more memory than all the rest.
    import pyarrow
    from pyarrow import parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except pyarrow.ArrowException as error:
        raise DamagedFileError(" ".join(str(error).split())[:200]) from error
