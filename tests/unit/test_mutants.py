"""The catalogue of mutants fits the code: every fault can still be put in, and the test that must find it is there."""

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.promise)
def test_a_mutant_can_be_put_in(mutant: Mutant) -> None:
    assert (REPOSITORY / mutant.file).read_text().count(mutant.before) == 1
    assert mutant.after != mutant.before


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.promise)
def test_the_test_that_must_find_it_is_there(mutant: Mutant) -> None:
    file, _, name = mutant.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (REPOSITORY / file).read_text()
