"""Fixtures of tests that compare and repair in their own process."""

from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event

import pytest

from outboxctl.core.database import Database
from outboxctl.core.documents.table import TableSource
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Sides
from outboxctl.operations.verify.one_pass import OnePass
from outboxctl.operations.verify.repair import Repair, Repaired
from outboxctl.settings import Settings
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.transport.open import connect


@pytest.fixture
def sides(db: Database, settings: Settings) -> Iterator[Sides]:
    """The rows of search_index and this test's index."""
    with closing(connect(settings)) as client:
        yield Sides(db, Reader(client, settings.elastic_index), TableSource())


@pytest.fixture(params=["in one pass", "by keys"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to compare; the one by keys is made where one pass does not suffice."""
    if request.param == "by keys":
        monkeypatch.setattr(OnePass, "suspects", lambda *_: None)
    return str(request.param)


@pytest.fixture
def repair_all(sides: Sides) -> Callable[[], Repaired]:
    """Compares and repairs."""

    def run() -> Repaired:
        repair = Repair(sides, "alice", "drill")
        repair.run([each for each in compare(sides) if not each.in_flight], stop=Event())
        return repair.done

    return run
