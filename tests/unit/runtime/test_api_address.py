"""The address of the API that runs here: from the data folder of `feedback up`, if there is one."""

from pathlib import Path

import pytest

from runtime.api_address import ADDRESS_FILE, api_address


def test_the_address_in_the_data_folder_counts_and_without_one_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert api_address("http://127.0.0.1:8787") == "http://127.0.0.1:8787"
    (tmp_path / ".feedback").mkdir()
    (tmp_path / ".feedback" / ADDRESS_FILE).write_text("http://127.0.0.1:8080\n")
    assert api_address("http://127.0.0.1:8787") == "http://127.0.0.1:8080"
