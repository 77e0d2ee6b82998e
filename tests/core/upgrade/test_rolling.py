"""A rolling upgrade: schema, workers and producers of two releases beside each other, and nothing is lost."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

import outboxctl
from core.upgrade.back import PREVIOUS
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.core.delivery.leases import reclaim
from outboxctl.core.schema.migrations import current, upgrade
from outboxctl.core.sql import text
from processes import Cli, Worker, eventually
from scene import Scene

RECORDED = (Path(__file__).parent / "release_0004.sql").read_text()
OLD = {name: text(sql) for name, sql in re.findall(r"^-- (\w+)\n(.*?)(?=\n-- |\Z)", RECORDED, re.M | re.S)}
ROW = "INSERT INTO search_index (entity_type, entity_id, event_version) VALUES ('block', %s, 1)"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class OldWorker:
    """The statements of a worker of the release before."""

    def __init__(self, db: Database) -> None:
        self._db, self.id = db, str(uuid4())
        self.now = {"now": None}

    def send(self, name: str, **given: Any) -> Any:
        """One of them, in a transaction with that release's plan."""
        with self._db.begin() as connection:
            connection.exec_driver_sql("SET LOCAL search_path = public")  # it searched its login's schemas
            connection.execute(OLD["plan"])
            done = connection.execute(OLD[name], given | self.now)
            return done.all() if "RETURNING" in OLD[name].text else done.rowcount

    def claim(self, size: int = 10, *, alone: int = 0) -> tuple[str, list[str]]:
        """A token, and the ids of what it holds; with `alone` one reclaimed event, if there is one."""
        token, given = str(uuid4()), {"owner": "old", "size": size, "lease": 30.0, "alone": alone}
        rows = self.send("claim", token=token, **given, max_bytes=8_000_000)
        return token, [row[0] for row in rows]

    def beat(self) -> None:
        """A heartbeat."""
        of = {"worker_id": "old", "host": "h", "pid": 1, "version": "0", "uptime": 1.0, "in_flight": 0}
        more = {"outage_policy": "count", "circuit_open": False, "completed": 0, "inserted": None}
        self.send("beat", id=self.id, kept=86_400.0, **of, **more)

    def turn(self) -> None:
        """Claim, and give it back: only the real one delivers here."""
        self.beat()
        token, _ = self.claim()
        self.send("release", tokens=[token])
        self.send("reclaim", max_processing=600.0, max_attempts=10)


class Producer:
    """An application: a source row and its event in one transaction, by either release's way."""

    def __init__(self, db: Database, url: str) -> None:
        self._old, self._url, self.written = OldWorker(db), url, 0

    def turn(self) -> None:
        """Two entities."""
        with psycopg.connect(self._url) as connection:
            entity = uuid4()
            connection.execute(ROW, [entity])
            outboxctl.enqueue(connection, entity_type="block", entity_id=entity, event_version=1)
        entity = uuid4()
        with psycopg.connect(self._url) as connection:
            connection.execute(ROW, [entity])
        event = {"id": str(uuid4()), "entity_type": "block", "entity_id": str(entity), "op": "upsert"}
        self._old.send("insert", **event, event_version=1)
        self.written += 2


@contextmanager
def going_on(turn: Callable[[], None]) -> Iterator[list[int]]:
    """Turn after turn in a thread, counted; what it raises is raised at the end."""
    over, turns, errors = threading.Event(), [0], []

    def loop() -> None:
        try:
            while not over.wait(0.01):
                turn()
                turns[0] += 1
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield turns
    finally:
        over.set()
        thread.join()
    for error in errors:
        raise error


def test_an_upgrade_beside_workers_and_writers_loses_nothing(
    previous: Database, empty_url: str, scene: Scene, worker: Callable[..., Worker], cli: Cli
) -> None:
    producer, old = Producer(previous, empty_url), OldWorker(previous)
    running = worker()
    with going_on(producer.turn) as written, going_on(old.turn) as turns:
        eventually(lambda: scene.count("done") > 20, what="it works on the older schema")
        cli.ok("db", "upgrade")
        before = written[0], turns[0], scene.count("done")
        after = (before[0] + 20, before[1] + 5, before[2] + 20)
        eventually(lambda: (written[0], turns[0], scene.count("done")) >= after, what="all go on")
    scene.finished_by(running, producer.written)
    log = running.log.read_text()
    assert "unexpected error" not in log
    assert "cannot be used" not in log


def test_what_the_release_before_sends_means_the_same_on_this_schema(empty: Database, scene: Scene) -> None:
    upgrade(empty, None)
    scene.load(4)
    scene.sql.execute("UPDATE search_outbox_events SET traceparent = %s", [TRACE])
    old = OldWorker(empty)
    token, ids = old.claim()
    assert len(ids) == 4
    done, retried, failed, released = ids
    assert len(old.send("renew", token=token, lease=30.0, max_processing=600.0)) == 4
    said = {"token": token, "reasons": ["gateway"], "errors": ["x"]}
    assert old.send("complete", token=token, ids=f"{{{done}}}") == 1
    assert old.send("retry", ids=f"{{{retried}}}", delays=[1.0], **said) == [(retried,)]
    assert old.send("fail", ids=f"{{{failed}}}", **said) == [(failed,)]
    assert old.send("release", tokens=[token]) == [(released,)]
    assert scene.rows("traceparent") == [(TRACE,)]
    statuses = scene.sql.execute("SELECT status FROM search_outbox_events ORDER BY 1").fetchall()
    assert statuses == [("done",), ("failed",), ("pending",), ("pending",)]


def test_what_one_release_reclaims_the_other_takes_with_care(empty: Database, scene: Scene) -> None:
    """The older one sends each alone, and what it has reclaimed is sent alone by this one."""
    upgrade(empty, None)
    scene.load(4)
    old = OldWorker(empty)

    def new(how: Callable[..., Any], **given: Any) -> Any:
        with empty.begin() as connection:
            return how(connection, **given)

    def claimed() -> list[Claimed]:
        events: list[Claimed] = new(claim, owner="new", token=str(uuid4()), size=10, lease=30.0)
        return events

    old.claim()
    scene.pass_leases()
    old.send("reclaim", max_processing=600.0, max_attempts=10)
    assert [len(claimed()) for _ in range(4)] == [1, 1, 1, 1]
    scene.sql.execute("UPDATE search_outbox_events SET error_reason = NULL")
    scene.pass_leases()
    new(reclaim, max_processing=600.0, max_attempts=10)
    assert len(old.claim(alone=1)[1]) == 1
    assert len(claimed()) == 3


def test_a_new_worker_works_on_the_older_schema(previous: Database, scene: Scene, cli: Cli) -> None:
    scene.load(3)
    cli.ok("worker", "--drain")
    scene.holds(3)
    with previous.begin() as connection:
        assert current(connection) == PREVIOUS
