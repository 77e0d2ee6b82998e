"""Authorities of a session's own; making keys takes a moment."""

from pathlib import Path

import pytest

from doctor.ward import Ward
from outboxctl.settings import all_names
from tls import Papers


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Of the authority that is to be trusted."""
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Of somebody else."""
    return Papers(tmp_path_factory.mktemp("others"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ward:
    """A patient without a setting."""
    monkeypatch.chdir(tmp_path)
    for name in all_names():
        monkeypatch.delenv(name, raising=False)
    return Ward(monkeypatch, "")
