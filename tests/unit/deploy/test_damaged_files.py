"""Small files of a data folder that somebody, or a power failure, has damaged: each is named, with what to do."""

import asyncio
import os
from pathlib import Path

import pytest

from deploy.embedded.clickhouse_address import AddressFileError, keep_address
from deploy.up.disk import LEAST_FOR_LOGS, WatchedDisk, disks_of, free_bytes
from operations.broker_offsets import base_of_durable_log
from operations.connections import CommandError
from runtime.api_key_store import ApiKeyStore
from runtime.clickhouse_address import ADDRESS_FILE
from runtime.closed_server_mark import remember_in


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"http://[half", b"http://h:1"])
def test_an_address_of_clickhouse_without_a_password_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ADDRESS_FILE).write_bytes(content)
    with pytest.raises(AddressFileError, match=f"^{tmp_path}/{ADDRESS_FILE} holds no address .*: remove it"):
        keep_address(tmp_path, "127.0.0.1", 1)


def test_a_folder_that_cannot_hold_the_address_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "clickhouse"
    in_the_way.write_text("")
    with pytest.raises(
        AddressFileError, match=f"^{in_the_way}/address cannot hold .* \\({in_the_way} is not a folder\\): put"
    ):
        keep_address(in_the_way, "127.0.0.1", 1)
    (tmp_path / "other" / ADDRESS_FILE).mkdir(parents=True)
    with pytest.raises(AddressFileError, match="Is a directory"):
        keep_address(tmp_path / "other", "127.0.0.1", 1)


def test_an_offset_base_that_cannot_be_read_is_not_guessed(tmp_path: Path) -> None:
    """Another base would have new events count as older than stored ones."""
    for content in (b"", b"\xff", b"-1"):
        (tmp_path / "offset_base").write_bytes(content)
        with pytest.raises(CommandError, match="offset_base holds no offset base: write into it the number"):
            asyncio.run(base_of_durable_log(tmp_path / "offset_base", "http://127.0.0.1:1"))


@pytest.mark.parametrize("content", ["", "[]", "{}", "7", '{"left_behind": [1]}', '{"left_behind": null}'])
def test_a_damaged_mark_closes_the_server(tmp_path: Path, content: str) -> None:
    (tmp_path / "closed").write_text(content)
    store = ApiKeyStore()
    remember_in(tmp_path / "closed", store)
    assert store.is_closed


def test_each_disk_is_watched_once_and_a_small_one_is_enough_for_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    assert disks_of(data, ["clickhouse", "kafka"], data / "exports") == [WatchedDisk(data)]
    for name in ("clickhouse", "logs", "exports"):
        (data / name).mkdir(parents=True)
    of = {data / "clickhouse": 2, data / "logs": 3, data / "exports": 3}
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(path, follow_symlinks=follow_symlinks)
        return os.stat_result((*found[:2], of.get(path, 1), *found[3:]))

    monkeypatch.setattr(Path, "stat", stat)
    small = WatchedDisk(data / "logs", LEAST_FOR_LOGS, LEAST_FOR_LOGS)
    assert disks_of(data, ["clickhouse"], data / "exports") == [
        WatchedDisk(data),
        WatchedDisk(data / "clickhouse"),
        small,
    ]


def test_a_disk_that_takes_no_more_files_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*found[:7], 0, *found[8:])))
    assert free_bytes(tmp_path) == -1
    assert WatchedDisk(tmp_path).is_full
    assert WatchedDisk(tmp_path).ends_programs
    assert not WatchedDisk(tmp_path, LEAST_FOR_LOGS, LEAST_FOR_LOGS).ends_programs, "workers start again at once"
    assert "is full (it takes no more files)" in WatchedDisk(tmp_path).shortage
