"""Authorities and logins of a session's own; making either takes a moment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.doctor.ward import Ward
from outboxctl.settings import all_names
from security.ladder import Ladder, ladder
from servers import Servers
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


@pytest.fixture(scope="session")
def whole(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ladder]:
    """Logins and a database to copy."""
    with ladder(servers.postgres, tmp_path_factory.mktemp("owner")) as made:
        yield made


@pytest.fixture
def rungs(whole: Ladder) -> Iterator[Ladder]:
    """A copy of one's own."""
    with whole.copy() as made:
        yield made
