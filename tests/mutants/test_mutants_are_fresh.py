"""The list of mutants fits the code and the tests of today; `make mutants` runs them."""

import ast
import subprocess
import sys

import pytest

from mutants.catalogue import CHECKOUT, Mutant, load

pytestmark = pytest.mark.no_servers
MUTANTS = load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_can_be_made(mutant: Mutant) -> None:
    """Its old text is there once, and what comes of it can be compiled."""
    ast.parse(mutant.broken(CHECKOUT))


def test_names_are_unique_and_each_mutants_test_exists() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    tests = sorted({mutant.test for mutant in MUTANTS})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests]
    found = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
