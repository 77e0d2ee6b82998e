"""A second look is cheap where nothing has changed since both sides agreed, and never mistaken for it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from operations.disaster import Ground, overwrite
from outboxctl.core.database import Database
from outboxctl.core.documents import entities
from outboxctl.operations.verify.model import VerifyReport
from outboxctl.operations.verify.survey import survey
from outboxctl.settings import Settings
from outboxctl.sink.index.scan import Reader
from outboxctl.sink.transport.open import connect

pytestmark = pytest.mark.real_engine
Look = Callable[..., VerifyReport]


@pytest.fixture
def ground(sql: psycopg.Connection[Any], engine: Elasticsearch, index: str) -> Ground:
    return Ground.filled(sql, engine, index, 20)


@pytest.fixture
def look(settings: Settings, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    monkeypatch.setenv("OUTBOXCTL_CACHE", str(tmp_path / "cache"))
    with closing(connect(settings)) as client:

        def run(*, content: bool = True, full: bool = False) -> VerifyReport:
            reader = Reader(client, settings.elastic_index)
            return survey(db, reader, content=content, full=full, limit=5, advance=lambda _: None)

        yield run


def update_and_back(ground: Ground) -> None:
    for change in ("+", "-"):
        ground.sql.execute(f"UPDATE search_index SET event_version = event_version {change} 1")


def delete_and_add(ground: Ground) -> None:
    one = ground.documents()[0]
    ground.bulk([{"delete": {"_id": one.id}}, *overwrite(one._replace(version=one.version + 1))])


def run(query: str) -> Callable[[Ground], object]:
    return lambda ground: ground.sql.execute(query.encode())


def overwritten(ground: Ground) -> None:
    ground.bulk(overwrite(ground.documents()[0], text="altered"))


def deleted(ground: Ground) -> None:
    ground.bulk([{"delete": {"_id": ground.documents()[0].id}}])


def column_again(ground: Ground) -> None:
    ground.sql.execute(
        "ALTER TABLE search_index DROP COLUMN snippet, ADD COLUMN snippet text DEFAULT 'another'"
    )


PAGES = "WHERE entity_type = 'page'"
CHANGES = [
    pytest.param(run(f"UPDATE search_index SET text = text {PAGES}"), 0, id="same-row"),
    pytest.param(run(f"UPDATE search_index SET text = 'x' {PAGES}"), 7, id="other-text"),
    pytest.param(run(f"DELETE FROM search_index {PAGES}"), 7, id="row-gone"),
    pytest.param(update_and_back, 0, id="row-and-back"),
    pytest.param(column_again, 20, id="column-again"),
    pytest.param(overwritten, 1, id="other-document"),
    pytest.param(deleted, 1, id="document-gone"),
    pytest.param(delete_and_add, 1, id="document-again"),
]


@pytest.mark.parametrize(("change", "differences"), CHANGES)
def test_any_change_of_a_side_has_everything_read_again(
    ground: Ground, look: Look, change: Callable[[Ground], object], differences: int
) -> None:
    first, second = look(), look()
    assert first.unchanged_since is None
    assert second.unchanged_since is not None
    assert (second.rows, second.documents, second.differences, second.buckets) == (20, 20, 0, 0)
    change(ground)
    third, fourth = look(), look()
    assert (third.unchanged_since, third.differences) == (None, differences)
    assert (fourth.unchanged_since is None) is bool(differences)


def test_another_server_with_the_same_numbers_is_another_side(ground: Ground, db: Database) -> None:
    (identifier,) = ground.sql.execute("SELECT system_identifier FROM pg_control_system()").fetchone() or (
        "",
    )
    with db.begin() as connection:
        assert entities.table_checksum(connection).startswith(f"{identifier}:")


def test_what_was_compared_by_version_alone_was_not_compared_by_content(ground: Ground, look: Look) -> None:
    ground.bulk(overwrite(ground.documents()[0], text="altered"))
    assert look(content=False).differences == 0
    assert look(content=False).unchanged_since
    assert look().differences == 1
    ground.bulk(overwrite(ground.documents()[0]))
    assert look().differences == 0
    assert look(content=False).unchanged_since
    assert look(full=True).unchanged_since is None


def test_what_is_in_flight_is_no_agreement(ground: Ground, look: Look) -> None:
    one = ground.documents()[0]
    ground.bulk([{"delete": {"_id": one.id}}])
    ground.sql.execute(
        "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)"
        " VALUES (gen_random_uuid(), %s, %s, 'upsert', 1, 'pending')",
        one.key,
    )
    assert [look().in_flight for _ in range(2)] == [1, 1]


def test_two_indexes_and_a_damaged_file_are_not_confused(
    ground: Ground, look: Look, tmp_path: Path, engine: Elasticsearch, index: str
) -> None:
    look()
    kept = tmp_path / "cache" / "verify.json"
    good = kept.read_text()
    for text in ("", "{}", '[null, 3, {"imprint": 1}]', good[: len(good) // 2]):
        kept.write_text(text)
        assert look().unchanged_since is None
        assert look().unchanged_since is not None
    kept.unlink()
    kept.mkdir()
    assert [look().unchanged_since for _ in range(2)] == [None, None]
    kept.rmdir()
    look()
    engine.indices.delete(index=f"{index}-000001")
    engine.indices.create(index=f"{index}-000001", aliases={index: {}})
    ground.bulk([line for one in ground.documents()[:19] for line in overwrite(one)])
    assert look().differences == 1
