"""The parts of a rebuild that need no server."""

import threading
from collections.abc import Sequence
from pathlib import Path
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
from outboxctl.operations.rebuild import source
from outboxctl.operations.rebuild.model import Tools
from outboxctl.operations.rebuild.plan import body_of
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


class Scripted:
    """A sink whose findings are given; remembers what was sent."""

    def __init__(self, *rounds: Sequence[Classification | None]) -> None:
        self.rounds, self.sent = [list(each) for each in rounds], list[list[str]]()

    def deliver(self, actions: list[BulkAction], **_: Any) -> Delivery:
        """The next findings."""
        self.sent.append([action.id for action in actions])
        return Delivery(self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0], [])


class NoWait(threading.Event):
    """A stop that nobody asks for, and nobody waits for."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        """At once."""
        return False


def sender(sink: Scripted, *, patience: float = 60.0) -> Sender:
    """A sender that waits for nothing."""
    nothing: Any = None
    tools = Tools(nothing, nothing, nothing, NoWait(), patience=patience)
    ticks = iter(range(1_000))
    made = Sender(tools, "new", clock=lambda: float(next(ticks)))
    made._sink = sink  # type: ignore[assignment]
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
            body_of(choice)


@pytest.mark.parametrize(
    "text",
    ['{"mappings": {"_meta": "x"}}', '{"settings": {"a": NaN}}', '{"settings": {"a": 1e999}}']
    + [f'{{"settings": {{"a": "{bad}"}}}}' for bad in ("\\u0000", "\\ud800")],
)
def test_a_mapping_that_no_database_keeps_is_refused_at_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="--mapping"):
        body_of(str(path))


KEYS = st.lists(st.lists(st.tuples(st.text(), st.integers(0, 2**63 - 1) | st.none()), min_size=1))


@given(KEYS)
def test_all_keys_come_again_in_their_order(pages: list[list[tuple[str, int | None]]]) -> None:
    with source.spooled(pages) as kept:
        assert [[tuple(item) for item in page] for page in kept] == pages
