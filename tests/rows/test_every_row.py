"""No row of the failure table is without a test that bears its name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from outboxctl.failures import Noop, Reason
from rows.table import ROWS

pytestmark = pytest.mark.no_servers


def test_every_row_has_a_test() -> None:
    folder = Path(__file__).parent
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(folder)]
    named = subprocess.run(collect, capture_output=True, text=True, check=True, cwd=folder.parents[1]).stdout
    missing = [key for key in ROWS if not re.search(rf"(::test_|[\[-]){key}(?![a-z])", named)]
    assert missing == []


def test_every_reason_and_every_noop_has_a_row() -> None:
    words = {word for _, _, reasons in ROWS.values() for word in reasons.split(", ") if word}
    assert words == {*map(str, Reason), *map(str, Noop)}
