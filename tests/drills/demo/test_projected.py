"""The demo's second part on real servers: tables of its own, and a row with many documents behind it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.drills.demo import system as demo_system
from outboxctl.drills.demo import tables
from outboxctl.drills.demo.documents import Docstring
from outboxctl.drills.demo.projected import ProjectionSteps
from outboxctl.drills.demo.system import DemoSystem, Stage
from outboxctl.sink.index.index_setup import Hit

pytestmark = pytest.mark.slow(reason="plays a part of the demo for each test")

DOCUMENTS = [
    Docstring("shelf", "A module.", "shelf"),
    Docstring("shelf.open", "Open a shelf. Close it later.", "shelf"),
    Docstring("shelf.Shelf.read", "Read from it.", "shelf"),
    Docstring("shelf.Shelf.Item.name", "The name of one.", "shelf"),
    Docstring("shelf.close", "Close a shelf.", "shelf"),
    Docstring("shelf.sub.Box", "A box.", "shelf.sub"),
    Docstring("shelf.sub.Box.pack", "Pack it.", "shelf.sub"),
]


@pytest.fixture
def system(env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoSystem]:
    """The shared servers as the demo's own, in a database and an index of the test's."""
    own = demo_system.SETTINGS | {"elastic_index": env["ELASTIC_INDEX"]}
    monkeypatch.setattr(demo_system, "SETTINGS", own)
    postgres, search = (SimpleNamespace(url=env[name]) for name in ("DATABASE_URL", "ELASTIC_URL"))
    both: Any = SimpleNamespace(postgres=postgres, search=search)
    system = DemoSystem(tmp_path, both)
    system.worker.start()
    yield system
    system.close()


class Told:
    """A screen that keeps what was shown; `at` is called where a step of that name begins."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.hits: list[Hit] = []
        self.at: dict[str, Callable[[], None]] = {}

    def step(self, name: str, _: str) -> None:
        self.at.get(name, lambda: None)()

    def progress(self, *_: int) -> None:
        pass

    def detail(self, _: str) -> None:
        pass

    def ended(self, text: str, _: object = None, hits: Sequence[Hit] = ()) -> None:
        self.texts.append(text)
        self.hits += hits


@pytest.fixture
def steps(system: DemoSystem) -> Stage:
    return Stage(system, Told())  # its index is named after the test's, and is deleted with that


def played(steps: Stage) -> tuple[ProjectionSteps, Any]:
    """The second part alone, and what was shown of it."""
    projected = ProjectionSteps(steps)
    projected.play(DOCUMENTS)
    return projected, steps.screen


def test_a_definition_has_its_members_and_its_module() -> None:
    own = tables.rows(DOCUMENTS)
    assert own.modules == [(1, "shelf"), (2, "shelf.sub")]
    assert [(id_, module, name, summary) for id_, module, name, summary, _ in own.definitions] == [
        (1, 1, "open", "Open a shelf."),
        (2, 1, "Shelf", ""),  # without a text of its own
        (3, 1, "close", "Close a shelf."),
        (4, 2, "Box", "A box."),
    ]
    assert own.members == [
        (2, "read", "Read from it."),
        (2, "Item.name", "The name of one."),
        (4, "pack", "Pack it."),
    ]


def test_one_event_for_all_documents_of_a_module(steps: Stage, engine: Elasticsearch) -> None:
    projected, told = played(steps)
    assert [(check.name, check.seen) for check in steps.checks if not check.ok] == []
    shown = projected.shown
    assert (shown.module, shown.renamed, shown.events, shown.followed) == ("shelf", "shelf_renamed", 1, 3)
    assert f"shelf is shelf_renamed now: 1 event, 3 documents in {shown.seconds:.1f} s" in told.texts[2]
    assert {hit.snippet for hit in told.hits} == {
        "open of shelf_renamed: Open a shelf.",
        "Shelf of shelf_renamed",
        "close of shelf_renamed: Close a shelf.",
    }
    assert engine.get(index=projected.index, id="2")["_source"]["members"] == [
        {"name": "Item.name", "text": "The name of one."},
        {"name": "read", "text": "Read from it."},
    ]


def test_documents_that_do_not_follow_are_a_finding(steps: Stage, db: Database) -> None:
    def break_it() -> None:
        with db.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE demo.modules DISABLE TRIGGER USER")

    assert isinstance(steps.screen, Told)
    steps.screen.at["Rename"] = break_it
    played(steps)
    assert {check.name: check.seen for check in steps.checks if not check.ok} == {
        "events that the rename wrote": 0,
        "documents with the new name": 0,
        "documents with the old name": 3,
        "hits that show the new name": 0,
        "documents that differ from their rows": 3,
    }
