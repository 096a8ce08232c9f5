"""A worker needs no folder: one of another user, or a group with a slash in its name, keeps it from nothing."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from stream_workers.batches.faust_app import batch_app
from stream_workers.settings import WorkerSettings


@pytest.mark.parametrize("group", ["feedback-workers", "team/workers"])
def test_the_start_makes_no_folder(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)

    async def start() -> None:
        await batch_app(WorkerSettings(consumer_group=group), group, 1).on_first_start()

    asyncio.run(start())
    assert list(tmp_path.iterdir()) == []
