"""The addresses of what runs here: from the data folder of `feedback up`, if there is one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.up_addresses import API_ADDRESS_FILE, KAFKA_ADDRESS_FILE, api_address, kafka_address


@pytest.mark.parametrize(("file", "address_of"), [(API_ADDRESS_FILE, api_address), (KAFKA_ADDRESS_FILE, kafka_address)])
def test_the_address_in_the_data_folder_counts_and_without_one_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, address_of: Callable[[str], str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert address_of("elsewhere:1") == "elsewhere:1"
    (tmp_path / ".feedback").mkdir()
    (tmp_path / ".feedback" / file).write_text("127.0.0.1:8080\n")
    assert address_of("elsewhere:1") == "127.0.0.1:8080"
