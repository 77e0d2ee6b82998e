"""A promoted standby that lacks what the old primary had: the rest goes on, and a repair mends the index."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.errors import UnreachableError
from processes import Cli, Worker, eventually
from scene import Scene
from worker.pg_nodes import Pair

QUICK = {"OUTBOX_BULK_SIZE": "50", "OUTBOX_CONCURRENCY": "1"}
WHO = ("--by", "alice", "--reason", "a failover")
WRITE = """
WITH written AS (
    INSERT INTO search_index AS s (id, entity_type, entity_id, text, snippet, event_version)
    SELECT gen_random_uuid(), 'block', md5(n::text)::uuid, %(text)s, 'text', %(version)s
    FROM unnest(%(numbers)s::int[]) n
    ON CONFLICT (entity_type, entity_id)
        DO UPDATE SET text = EXCLUDED.text, event_version = EXCLUDED.event_version
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', event_version, 'pending' FROM written
"""
DELETE = """
WITH gone AS (
    DELETE FROM search_index
    WHERE entity_id = ANY (SELECT md5(n::text)::uuid FROM unnest(%(numbers)s::int[]) n)
    RETURNING entity_type, entity_id
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'delete', %(version)s, 'pending' FROM gone
"""
UNFINISHED = "SELECT FROM search_outbox_events WHERE status <> 'done'"

pytestmark = [
    pytest.mark.real_engine,
    pytest.mark.slow(reason="a server of its own and a standby, promoted"),
]


@dataclass(frozen=True)
class Application:
    """Writes blocks by their numbers at one server, each with its event."""

    sql: psycopg.Connection

    def write(self, *numbers: int, text: str, version: int) -> None:
        """New rows, or new versions of them."""
        self.sql.execute(WRITE, {"numbers": list(numbers), "text": text, "version": version})

    def delete(self, *numbers: int, version: int) -> None:
        """Rows that are gone."""
        self.sql.execute(DELETE, {"numbers": list(numbers), "version": version})

    def delivered(self) -> None:
        """Wait until no event is left."""
        eventually(lambda: not self.sql.execute(UNFINISHED).rowcount, what="delivered")

    def texts(self) -> dict[str, Any]:
        """The text of each row, by its document's id."""
        return dict(self.sql.execute("SELECT 'block:' || entity_id, text FROM search_index").fetchall())


def indexed(scene: Scene) -> dict[str, Any]:
    """The text of each document."""
    scene.engine.indices.refresh(index=scene.index)
    hits = scene.engine.search(index=scene.index, size=1000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"]["text"] for hit in hits}


@pytest.mark.parametrize("split", [False, True], ids=["lagged", "two-primaries"])
def test_what_the_new_primary_never_had_is_found_and_mended(
    two: Pair, cli: Cli, worker: Callable[..., Worker], split: bool
) -> None:
    """Changed, written and deleted at the old primary only, and delivered from there.

    With two primaries by a worker that knows only the old one, while the other writes at the new one.
    """
    with two.at(two.primary) as old, two.at(two.standby) as new:
        before, after = Application(old.sql), Application(new.sql)
        before.write(*range(20), text="kept", version=1)
        running = worker(**QUICK, DATABASE_URL=two.url if split else two.both)
        before.delivered()
        two.catch_up()
        two.promote() if split else two.cut_replication()
        before.write(*range(5), text="lost", version=5)
        before.write(*range(20, 25), text="lost", version=1)
        before.delete(*range(10, 13), version=2)
        before.delivered()
        if split:
            running.end()
            running = worker(**QUICK, DATABASE_URL=two.both)
        else:
            two.primary.stop("immediate")
            two.promote()
        after.write(0, 13, text="new", version=2)
        after.write(30, text="new", version=1)
        after.delivered()
        assert indexed(new) != after.texts()
        here = {"DATABASE_URL": two.both}
        found = cli("verify", "--json", env=here)
        assert found.returncode == 4, found.stderr
        cli.ok("verify", "--repair", *WHO, env=here)
        after.delivered()
        assert indexed(new) == after.texts()
        cli.ok("verify", env=here)
        assert new.count("failed") == 0
        running.end()


def test_a_transaction_under_way_at_the_old_primary_is_not_committed_there(two: Pair) -> None:
    db = Database(two.both)
    with two.at(two.primary) as old:
        old.load(1)
        two.catch_up()
        assert db.look() == []
        with pytest.raises(UnreachableError):
            left_in_the_middle(two, db)
        assert old.rows("attempts") == [(0,)]
    with db.begin() as connection:
        assert connection.exec_driver_sql("SELECT inet_server_port()").scalar() == two.standby.port
    db.close()


def left_in_the_middle(two: Pair, db: Database) -> None:
    """A transaction at the old primary, and another one is promoted before its end."""
    with db.begin() as connection:
        connection.exec_driver_sql("UPDATE public.search_outbox_events SET attempts = 7")
        two.promote()
        (move,) = db.look()
        assert str(two.standby.port) in str(move.now)
