"""A state folder of its own for each test, with real servers on free ports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outboxctl.drills import services


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    services.down(folder, purge=True)
