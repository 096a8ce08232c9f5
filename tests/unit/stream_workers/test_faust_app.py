"""A worker needs no folder: one of another user, or a group with a slash in its name, keeps it from nothing."""

import os
import tempfile
from pathlib import Path

import pytest

from stream_workers.batches.faust_app import batch_app
from stream_workers.settings import WorkerSettings


@pytest.mark.parametrize("group", ["feedback-workers", "team/workers"])
async def test_the_start_makes_no_folder(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    await batch_app(WorkerSettings(consumer_group=group), group, 1).on_first_start()
    assert os.listdir(tmp_path) == []  # noqa: PTH208
