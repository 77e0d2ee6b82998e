"""A patient with a database and an index of its own."""

from pathlib import Path

import pytest

from operations.doctor.ward import Ward
from outboxctl.settings import Settings


@pytest.fixture
def ward(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ward:
    """Healthy."""
    monkeypatch.chdir(tmp_path)  # where no .env lies
    return Ward(monkeypatch, settings.require_database_url())


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ward:
    """Settings of a patient whose servers nobody asks."""
    monkeypatch.chdir(tmp_path)
    return Ward(monkeypatch, "")
