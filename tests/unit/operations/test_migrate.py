"""How migrations are read and put in order."""

from pathlib import Path

import pytest

from operations.migrate import Migration, MigrationError, migrations, plan, statements


def migrations_of(*versions: int, undoable: bool = True) -> list[Migration]:
    return [Migration(v, "change", Path("up.sql"), Path("down.sql") if undoable else None) for v in versions]


def steps(applied: set[int], to: int | None = None) -> list[str]:
    return [str(step) for step in plan(migrations_of(1, 2, 3), applied, to)]


def test_statements_end_with_a_semicolon_at_the_end_of_a_line() -> None:
    assert statements("SELECT 1;\nSELECT ';',\n  2;  \n\nSELECT 3\n") == ["SELECT 1", "SELECT ';',\n  2", "SELECT 3"]


def test_comments_are_no_statements_and_end_none() -> None:
    assert statements("-- first;\nSELECT 1,\n  -- half of it;\n  2;\n-- the end;\n") == ["SELECT 1,\n  2"]


def test_a_file_of_comments_has_no_statement() -> None:
    assert statements("-- nothing to do;\n\n;\n") == []


def test_without_a_target_all_that_is_missing_is_applied_in_order() -> None:
    assert steps({2}) == ["applied 0001_change", "applied 0003_change"]


def test_a_target_above_goes_up_to_it_and_no_further() -> None:
    assert steps({1}, to=2) == ["applied 0002_change"]


def test_a_target_below_undoes_the_newest_first() -> None:
    assert steps({1, 2, 3}, to=1) == ["undone 0003_change", "undone 0002_change"]
    assert steps({1, 2, 3}, to=0) == ["undone 0003_change", "undone 0002_change", "undone 0001_change"]


def test_versions_of_a_newer_program_are_left_alone_on_the_way_up() -> None:
    assert steps({1, 2, 3, 9}) == []


def test_what_cannot_be_undone_is_refused_before_anything_is_done() -> None:
    with pytest.raises(MigrationError, match=r"^Migration 9 is applied and there is no file here that undoes it\.$"):
        plan(migrations_of(1, 2), {1, 2, 9}, to=1)
    with pytest.raises(MigrationError, match="Migration 2"):
        plan(migrations_of(1, 2, undoable=False), {1, 2}, to=1)


def test_an_unknown_target_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(MigrationError, match=r"^There is no migration 7: give 0 or one of 1, 2, 3\.$"):
        steps({1}, to=7)


def test_a_folder_is_read_by_number(tmp_path: Path) -> None:
    for name in ("0010_late.up.sql", "0002_early.up.sql", "0002_early.down.sql", "notes.txt"):
        (tmp_path / name).touch()
    assert migrations(tmp_path) == [
        Migration(2, "early", tmp_path / "0002_early.up.sql", tmp_path / "0002_early.down.sql"),
        Migration(10, "late", tmp_path / "0010_late.up.sql", None),
    ]


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("0002_a.up.sql", "0002_b.up.sql"):
        (tmp_path / name).touch()
    with pytest.raises(MigrationError, match=r"0002_b\.up\.sql and 0002_a\.up\.sql have the same number"):
        migrations(tmp_path)


def test_a_misnamed_file_is_refused_rather_than_passed_over(tmp_path: Path) -> None:
    (tmp_path / "3_short.up.sql").touch()
    with pytest.raises(MigrationError, match=r"NNNN_name\.up\.sql"):
        migrations(tmp_path)


def test_every_migration_that_ships_can_be_undone() -> None:
    shipped = migrations()
    assert [each.version for each in shipped] == list(range(101, 101 + len(shipped)))
    assert [each.name for each in shipped if each.down is None] == []
