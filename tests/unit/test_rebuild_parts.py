"""The parts of a rebuild that need no server."""

import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.documents.rows import ChangedKey, SourceRow
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.table import TableSource
from outboxctl.core.produce import MAX_VERSION
from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.domain.failures import DONE, Classification, Reason, Verdict
from outboxctl.domain.projection import KeyColumn, Projection, Relation
from outboxctl.operations.rebuild import filling, source
from outboxctl.operations.rebuild.model import Tools
from outboxctl.operations.rebuild.plan import choose
from outboxctl.operations.rebuild.sending import Sender
from outboxctl.operations.rebuild.source import DocumentBatch, batch
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery
from outboxctl.sink.index.index_setup import MAPPING
from outboxctl.sink.index.lifecycle import body
from outboxctl.sink.index.named import Index, Named

pytestmark = pytest.mark.no_servers
AWAY = Classification(Verdict.OUTAGE, Reason.UNAVAILABLE, error="away")
REFUSED = Classification(Verdict.FAIL, Reason.MAPPING, error="no number")


@pytest.mark.parametrize("version", [None, -1, MAX_VERSION + 1])
def test_a_row_whose_version_cannot_be_sent_is_refused(version: int | None) -> None:
    view = Relation("shop", "documents")
    declared = Projection("p", view, (KeyColumn("id", "pg_catalog.text"),), view, "p", version="rev")
    made = batch([(ChangedKey("e"), SourceRow("e", "{}", version))], DocumentSource(declared))
    assert (made.actions, [each.reason for each in made.refused]) == ([], ["deterministic_exception"])
    assert made.refused[0].error.startswith("the row's rev is not in")


@pytest.mark.parametrize(
    ("cursor", "filled"),
    [
        (None, [("article", None), ("product", None)]),
        (["article", "7"], [("article", "7"), ("product", None)]),
        (["product", "9"], [("product", "9")]),
    ],
)
def test_a_fill_from_several_projections_goes_on_in_the_one_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, cursor: Any, filled: list[tuple[str, str | None]]
) -> None:
    view, seen, nothing = Relation("shop", "documents"), list[tuple[str, str | None]](), Any
    key = (KeyColumn("id", "pg_catalog.text"),)
    sources = [DocumentSource(Projection(name, view, key, view, "p")) for name in ("article", "product")]

    def noted(tools: Tools, _: str, __: object, place: str | None) -> None:
        seen.append((tools.source.projection.name, place))

    monkeypatch.setattr(filling, "_fill_from", noted)
    monkeypatch.setattr(Tools, "save", lambda _, row, **__: row)
    row: Any = SimpleNamespace(copied=0, refused=0, new_index="p-2", place=cursor and tuple(cursor))
    two: Any = Tools(nothing, nothing, nothing, threading.Event(), source=sources[0], beside=sources[1:])  # type: ignore[arg-type]
    filling.fill(two, row)
    assert seen == filled


class Scripted:
    """A sink whose findings are given; remembers what was sent."""

    def __init__(self, *rounds: Sequence[Classification | None]) -> None:
        self.rounds, self.sent = [list(each) for each in rounds], list[list[str]]()

    def deliver(self, actions: list[BulkAction], **_: Any) -> Delivery:
        """The next findings."""
        self.sent.append([action.id for action in actions])
        return Delivery(self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0], [])


def sender(sink: Scripted, *, patience: float = 60.0, stop: bool = False) -> Sender:
    """A sender that waits for nothing."""
    asked = threading.Event()
    if stop:
        asked.set()
    nothing: Any = None
    tools = Tools(nothing, nothing, nothing, asked, patience=patience)
    ticks = iter(range(1_000))
    made = Sender(tools, "new", clock=lambda: float(next(ticks)))
    made._sink = sink  # type: ignore[assignment]
    made._pause = lambda *_: 0.0  # type: ignore[method-assign]
    return made


def entities(count: int) -> DocumentBatch:
    keys = [f"block:{n}" for n in range(count)]
    return batch([(ChangedKey(key), SourceRow(key, "{}", 1)) for key in keys], TableSource())


def test_only_what_was_not_taken_is_sent_again() -> None:
    sink = Scripted([DONE, AWAY, REFUSED, None], [AWAY, DONE], [DONE])
    refused = sender(sink).send(entities(4))
    assert sink.sent == [[f"block:{n}" for n in range(4)], ["block:1", "block:3"], ["block:1"]]
    assert [(each.id, each.reason, each.error) for each in refused] == [("block:2", "mapping", "no number")]


def test_patience_begins_anew_when_something_was_taken() -> None:
    sink = Scripted([AWAY] * 2)
    with pytest.raises(UnreachableError, match="unavailable: away"):
        sender(sink, patience=5).send(entities(2))
    assert 5 <= len(sink.sent) <= 7
    slow = Scripted(*[[DONE, *[AWAY] * n] for n in range(20, 0, -1)], [DONE])
    assert sender(slow, patience=5).send(entities(21)) == []


def test_a_sink_that_asks_for_fewer_requests_is_waited_for_as_long_as_it_asks() -> None:
    busy = Classification(Verdict.RETRY, Reason.RATE_LIMITED, error="too many")
    sink = Scripted(*[[busy] * 2] * 50, [busy, DONE], [DONE])
    assert sender(sink, patience=5).send(entities(2)) == []
    assert len(sink.sent) == 52


def test_settings_are_kept_but_for_what_an_index_has_by_itself() -> None:
    old = {"index.uuid": "u", "index.version.created": "9", "index.blocks.write": "true", "index.max_x": "7"}
    home = Named("docs", [Index("docs-000001", settings=old, mapping={"dynamic": "strict"})])
    assert body(home, None, None) == {
        "settings": {"index.gc_deletes": "1h", "index.max_x": "7"},
        "mappings": {"dynamic": "strict"},
    }
    given = body(home, {}, {"index": {"max_x": 8}, "analysis": {"filter": {"f": {"type": "stop"}}}})
    assert given["settings"]["index.max_x"] == 8
    assert given["settings"]["index.analysis.filter.f.type"] == "stop"
    assert body(Named("docs"), None, None)["mappings"] == MAPPING


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mapping": {}}', '{"mappings": 1}', "\x00"])
def test_a_bad_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    for choice in (str(path), str(tmp_path), str(tmp_path / "none.json")):
        with pytest.raises(UsageError, match="--mapping"):
            choose(choice)


@pytest.mark.parametrize(
    "text",
    ['{"mappings": {"_meta": "x"}}', '{"settings": {"a": NaN}}', '{"settings": {"a": 1e999}}']
    + [f'{{"settings": {{"a": "{bad}"}}}}' for bad in ("\\u0000", "\\ud800")],
)
def test_a_mapping_that_no_database_keeps_is_refused_at_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="--mapping"):
        choose(str(path))


KEYS = st.lists(st.lists(st.tuples(st.text(), st.integers(0, 2**63 - 1) | st.none()), min_size=1))


@given(KEYS)
def test_all_keys_come_again_in_their_order(pages: list[list[tuple[str, int | None]]]) -> None:
    with source.spooled(pages) as kept:
        assert [[tuple(item) for item in page] for page in kept] == pages


def test_many_keys_are_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MEMORY", 10)
    rolled = []

    class Watched(SpooledTemporaryFile[str]):
        def rollover(self) -> None:
            rolled.append(True)
            super().rollover()

    monkeypatch.setattr(source, "SpooledTemporaryFile", Watched)
    with source.spooled([["a" * 10], ["b" * 10]]) as kept:
        assert [*kept] == [["a" * 10], ["b" * 10]]
    assert rolled
