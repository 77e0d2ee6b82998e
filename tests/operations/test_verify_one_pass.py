"""One pass over both sides finds what two passes find, and leaves to them what it cannot find."""

from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from operations.disaster import Ground, overwrite
from outboxctl.operations.verify import one_pass
from outboxctl.operations.verify.compare import by_id, compare
from outboxctl.operations.verify.model import Census, DifferenceKind, Sides
from outboxctl.operations.verify.one_pass import OnePass
from outboxctl.operations.verify.sketch import Sketch

pytestmark = pytest.mark.real_engine
BY_ID = "outboxctl.operations.verify.compare.by_id"
VIEW = "ALTER TABLE search_index RENAME TO old_rows; CREATE VIEW search_index AS SELECT * FROM old_rows"


@pytest.fixture
def ground(sql: psycopg.Connection[Any], engine: Elasticsearch, index: str) -> Ground:
    return Ground.filled(sql, engine, index, 300)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range of rows is one page of the table, a page of documents holds a few."""
    for name in ("FIRST", "MOST", "LEAST"):
        monkeypatch.setattr(one_pass, name, 7)
    monkeypatch.setattr("outboxctl.sink.index.scan.FIRST", 7)


@pytest.fixture
def only_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Any:
        raise AssertionError("compared in two passes")

    monkeypatch.setattr(BY_ID, refuse)


def spoil(ground: Ground) -> dict[str, DifferenceKind]:
    """Change five documents in the index; how each differs then."""
    a, b, c, d, e = ground.documents()[:50:10]
    extra = a._replace(id="page:00000000-0000-4000-8000-000000000001")
    changes: list[Any] = [{"delete": {"_id": a.id}}, *overwrite(b, text="another")]
    changes += overwrite(c._replace(version=c.version + 1)) + overwrite(extra)
    changes += [{"index": {"_id": "no key"}}, {"text": "nothing else"}]
    ground.bulk(changes)
    ground.sql.execute("UPDATE search_index SET event_version = 9 WHERE entity_id = %s", d.key[1:])
    ground.sql.execute("UPDATE search_index SET event_version = NULL WHERE entity_id = %s", e.key[1:])
    kinds = DifferenceKind
    return {
        a.id: kinds.MISSING,
        b.id: kinds.DIFFERENT,
        c.id: kinds.AHEAD,
        d.id: kinds.STALE,
        e.id: kinds.STALE,
        extra.id: kinds.EXTRA,
        "no key": kinds.EXTRA,
    }


def found(sides: Sides, census: Census | None = None) -> dict[str, DifferenceKind]:
    differences = list(compare(sides, census=census))
    assert len({each.id for each in differences}) == len(differences)
    return {each.id: each.kind for each in differences}


@pytest.mark.usefixtures("small", "only_pass")
def test_each_page_of_either_side_is_read_once(ground: Ground, sides: Sides) -> None:
    census = Census()
    assert found(sides, census) == {}
    assert (census.rows, census.documents) == (300, 300)
    expected = spoil(ground)
    assert found(sides) == expected


@pytest.mark.parametrize("change", [VIEW, "UPDATE search_index SET event_version = event_version"])
def test_what_a_pass_cannot_tell_is_compared_by_ids(
    change: str, ground: Ground, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sketch, "remaining", lambda _: None)
    expected = spoil(ground)
    ground.sql.execute(change.encode())
    used = list[bool]()

    def counted(*given: Any) -> Any:
        used.append(True)
        return by_id(*given)

    monkeypatch.setattr(BY_ID, counted)
    census = Census()
    assert found(sides, census) == expected
    assert (census.rows, census.documents, used) == (300, 301, [True])


@pytest.mark.parametrize(("rows", "size"), [(300, 1), (300, 10_000), (0, 7), (1, 1)])
def test_ranges_have_no_gaps(
    ground: Ground, sides: Sides, rows: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_pass, "FIRST", size)
    table = sides.source
    with sides.database.begin() as connection:
        last = table.last_page(connection)
    assert last
    ranges = [*OnePass(sides)._ranges(last, rows)]
    ids: list[bytes] = []
    for each in ranges:
        with sides.database.begin() as connection:
            ids += [row[0] for row in table.in_range(connection, each, content=False)]
    assert sorted(ids) == sorted(one.id.encode() for one in ground.documents())
    assert (ranges[0].first, ranges[-1].end) == (0, None)
