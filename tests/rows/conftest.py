"""The bench on this test's database, and a fake sink."""

from collections.abc import Iterator

import pytest

from acceptance import lab
from fakes import FakeSink, fake_sink
from outboxctl.core.database import Database
from rows.bench import Bench


@pytest.fixture
def bench(sql: lab.Sql, db: Database, url: str) -> Bench:
    """Rows to put in, deliver and look at."""
    return Bench(sql, db, url)


@pytest.fixture
def sink() -> Iterator[FakeSink]:
    """A healthy fake; give it a script."""
    with fake_sink() as sink:
        yield sink


@pytest.fixture(params=["count", "hold"])
def policy(request: pytest.FixtureRequest) -> str:
    """Both outage policies."""
    return str(request.param)
