"""Values of options that no command can work with are refused with what was given, before anything is done."""

import pytest

from deploy import cli


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["up", "--data-dir", ""], "'' is not a folder"),
        (["up", "--data-dir", " "], "' ' is not a folder"),
        (["up", "--partitions", "3000000000"], "'3000000000' is not a number from 1 to 1000"),
        (["topics", "--partitions", "²"], "'²' is not a number from 1 to 1000"),
        (["topics", "--replication", "0"], "'0' is not a number from 1 to 1000"),
        (["migrate", "--to", "-1"], "'-1' is not a number from 0 to 9999"),
        *((each, "is not UTF-8 text") for each in (["erase", "--user", "\udcff"], ["up", "--data-dir", "\udced"])),
    ],
)
def test_a_value_that_cannot_be_is_refused(command: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command) == 2
    assert told in capsys.readouterr().err
