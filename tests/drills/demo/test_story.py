"""Parts of the demo on real servers: tables of its own, a row with many documents, a worker that is away."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.demo import story as demo_story
from outboxctl.drills.demo.data import Docstring
from outboxctl.drills.demo.story import SETTINGS, Story
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.model import LabVerdict, Record
from outboxctl.drills.scratch import Namespace

pytestmark = pytest.mark.slow(reason="plays a part of the demo for each test")

DOCUMENTS = [
    Docstring("shelf", "A module.", "shelf"),
    Docstring("shelf.open", "Open a shelf.\n\nClose it later.", "shelf"),
    Docstring("shelf.Shelf.read", "Read from it.", "shelf"),  # its class has no text of its own
    Docstring("shelf.Shelf.Item.name", "The name of one.", "shelf"),
    Docstring("shelf.close", "Close a shelf.", "shelf"),
    Docstring("shelf.sub.Box", "A box.", "shelf.sub"),
    Docstring("shelf.sub.Box.pack", "Pack it.", "shelf.sub"),
]


class Told:
    """A screen that keeps what was shown; `at` is called where a step of that name begins."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.at: dict[str, Callable[[], None]] = {}

    def step(self, name: str, _: str) -> None:
        self.at.get(name, lambda: None)()

    def say(self, _: str) -> None:
        pass

    detail = say

    def ended(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def story(env: dict[str, str], tmp_path: Path) -> Iterator[Story]:
    """On the shared servers, in a database and an index of the test's."""
    ends = {name: env[name] for name in ("DATABASE_URL", "ELASTIC_URL", "ELASTIC_INDEX")}
    namespace = Namespace(ends, SETTINGS, {}, tmp_path)
    with closing(LabContext(namespace, Record("demo", ""), tmp_path, Event())) as ctx:
        yield Story(ctx, Told(), DOCUMENTS)


def bad(story: Story) -> dict[str, str]:
    checks = story.ctx.record.checks
    return {check.name: check.seen for check in checks if check.verdict is not LabVerdict.OK}


def test_one_event_for_all_documents_of_a_module(story: Story, engine: Elasticsearch) -> None:
    story.worker.start()
    story.project()
    assert bad(story) == {}
    assert isinstance(story.screen, Told)
    texts = story.screen.texts
    assert texts[0] == "2 modules, 4 classes and functions, 3 members, in three tables"
    assert "shelf is shelf_renamed now: 1 event, 3 documents in" in texts[2]
    hits = engine.search(index=story.index, query={"term": {"module": "shelf_renamed"}})["hits"]["hits"]
    held = {hit["_source"]["name"]: hit["_source"] for hit in hits}
    assert {name: source["text"] for name, source in held.items()} == {
        "open": DOCUMENTS[1].text,
        "Shelf": "",
        "close": "Close a shelf.",
    }
    assert held["Shelf"]["members"] == [
        {"name": "Item.name", "text": "The name of one."},
        {"name": "read", "text": "Read from it."},
    ]


def test_documents_that_do_not_follow_are_a_finding(story: Story, db: Database) -> None:
    def break_it() -> None:
        with db.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE demo.modules DISABLE TRIGGER USER")

    assert isinstance(story.screen, Told)
    story.screen.at["Rename"] = break_it
    story.worker.start()
    story.project()
    assert bad(story) == {
        "events that the rename wrote": "0",
        "documents with the new name": "0",
        "documents with the old name": "3",
        "documents that differ from their rows": "3",
    }


def test_a_standstill_ends_the_demo(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_story, "LONGEST_SECONDS", 0)
    story.worker.start()
    story.produce()
    with story.ctx.proxy.hold("before apply"), pytest.raises(OutboxctlError, match="it is not done"):
        story.break_one()
