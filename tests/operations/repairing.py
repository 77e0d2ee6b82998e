"""Fixtures of tests that compare and repair in their own process."""

from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event

import pytest

from outboxctl.core.database import Database
from outboxctl.core.documents.table import TableSource
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.one_pass import OnePass
from outboxctl.operations.verify.repair import Repair, Repaired
from outboxctl.settings import Settings
from outboxctl.sink.index.repair import Mender
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.transport.open import connect


@pytest.fixture
def reader(settings: Settings) -> Iterator[Reader]:
    """Of this test's index."""
    with closing(connect(settings)) as client:
        yield Reader(client, settings.elastic_index)


@pytest.fixture(params=["in one pass", "by keys"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to compare; the one by keys is made where one pass does not suffice."""
    if request.param == "by keys":
        monkeypatch.setattr(OnePass, "suspects", lambda *_: None)
    return str(request.param)


@pytest.fixture
def repair_all(db: Database, reader: Reader) -> Callable[..., Repaired]:
    """Compares, lets `meanwhile` happen, and repairs."""

    def run(meanwhile: Callable[[], object] = lambda: None) -> Repaired:
        differences = [d for d in compare(db, reader, TableSource()) if not d.in_flight]
        meanwhile()
        repair = Repair(db, Mender(reader.client, reader.shape.name), TableSource(), "alice", "drill")
        repair.run(differences, stop=Event())
        return repair.done

    return run
