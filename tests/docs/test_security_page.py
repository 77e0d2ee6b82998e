"""The page on security names tests, settings and findings: each of them exists."""

import re
from pathlib import Path

import pytest

from outboxctl.net.certificates import SINK, TABLE
from outboxctl.operations.doctor import catalogue
from outboxctl.settings import all_names
from outboxctl.settings.loading import LINK

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
MISSPELT = "OUTBOX_MAX_ATTEMPT"


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`(tests/[^`]+\.py::\w+)`", PAGE))))
def test_each_named_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_each_named_setting_and_finding_exists() -> None:
    named = {
        name for name in re.findall(r"\b(?:OUTBOX|ELASTIC|DATABASE)_[A-Z0-9_]+\b", PAGE) if name != MISSPELT
    }
    ours = {name for name in named if not LINK.fullmatch(name)} - {"OUTBOX_PORT"}
    assert ours <= all_names() | {"OUTBOX_"}, ours - all_names()
    for finding in ("sink-tls", "database-tls", "database-in-clear"):
        assert f"`{finding}`" in PAGE
        assert finding in catalogue()


def test_its_example_is_what_is_said() -> None:
    assert any(f"{what}; {mend.format(**vars(SINK))}" in PAGE for _, what, mend in TABLE)
