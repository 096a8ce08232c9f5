"""`feedback up` on a disk that is full: at its start, and while it runs."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deploy import cli
from tests.pipeline.engines import until
from tests.pipeline.supervised import number, starter

Disk = Callable[[int], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Makes small disks of the test's own, in memory, of so many megabytes."""
    with ExitStack() as stack:
        yield lambda size: stack.enter_context(_mounted(tmp_path / f"disk-{size}", size))


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "feedback", folder], check=False)
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    """Write until not a byte more is taken."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (2**20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def test_a_full_disk_is_named_at_the_start_and_while_it_runs_and_nothing_accepted_is_lost(
    disk: Disk, tmp_path: Path
) -> None:
    data, temporary = disk(300), disk(8)
    full = data / "full"
    fill(full)
    with starter(tmp_path) as start:
        up = start(environment={"TMPDIR": str(temporary)})
        up.data_dir = data / "data"
        said = up.refusal()
        assert said.startswith(f"feedback: the disk that holds {up.data_dir} is full (0 MB are left): make room there")
        assert len(said.splitlines()) == 1
        full.unlink()

        up.start_and_wait()
        up.post("before")
        until(lambda: up.stored("before") == 1, "feedback is stored")
        fill(temporary / "full")
        os.kill(up.child("deploy.embedded.clickhouse_http"), signal.SIGKILL)
        up.post("beside a full /tmp")
        until(lambda: up.stored("beside a full /tmp") == 1, "it is stored without /tmp", seconds=60)
        fill(full)
        for each in range(50):
            up.post(f"held {each}")
        until(lambda: f"the disk that holds {up.data_dir} is full" in up.errors.read_text(), "it is told", seconds=60)
        log = up.data_dir / "logs" / "worker-1.log"
        until(lambda: "disk is full" in log.read_text(errors="replace"), "the worker names it", seconds=60)
        full.unlink()
        held = "SELECT uniqExact(trace_id) FROM feedback.feedback WHERE startsWith(trace_id, 'held ')"
        until(lambda: number(up.clickhouse_url, held) == 50, "all is stored")
        assert cli.main(["audit", *up.where]) == 0
        assert up.end() == 0
