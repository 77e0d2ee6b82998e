"""NOTIFY: a hint that wakes an idle lane. Whatever becomes of it, no event is lost and nothing stands."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

import pgbouncer
from fakes.postgres_proxy import Proxy
from outboxctl.core.database import Database
from outboxctl.core.schema import notify
from outboxctl.core.schema.migrations import upgrade
from outboxctl.metrics.registry import Metrics
from outboxctl.settings import load
from outboxctl.worker import intake, listener
from outboxctl.worker.health import Health
from outboxctl.worker.intake import Batch, Intake
from outboxctl.worker.lease import Lease
from outboxctl.worker.listener import Listener
from outboxctl.worker.shared import Shared
from processes import Worker, eventually
from scene import Scene

EVENT = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
VALUES (gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'pending')"""
END_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
LISTENING = "outbox_notify_listening"


def shared_with(db: Database, **flags: object) -> Shared:
    return Shared(load(**flags), db, None, Metrics(), Health(300))  # type: ignore[arg-type]


def switch(db: Database, *, on: bool = True) -> notify.Switch:
    with db.begin() as connection:
        return notify.switch(connection, on=on)


def hears(shared: Shared) -> bool:
    return f'{LISTENING}{{projection="search_index_to_elastic"}} 1.0' in shared.metrics.snapshot().decode()


@contextmanager
def running(shared: Shared) -> Iterator[None]:
    """A listener as the daemon runs one."""
    own = Listener(shared)

    def loop() -> None:
        while not shared.stopping.wait(0.02):
            own.turn()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        shared.stop()
        thread.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LOOK", 0.05), ("LONGEST", 0.05), ("TICK", 0.05)):
        monkeypatch.setattr(listener, name, seconds)


@pytest.fixture
def patient_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle lane that would not look again by itself while a test lasts."""
    monkeypatch.setattr(intake, "FIRST_WAIT", 3600.0)


class Bell(threading.Event):
    """Tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        """As it does."""
        self.waited_for.set()
        return super().wait(timeout)


def idle(shared: Shared) -> tuple[threading.Thread, list[Batch | Lease | None]]:
    """A lane that has found nothing and waits, and what it finds in the end."""
    found: list[Batch | Lease | None] = []
    shared.bell = bell = Bell()
    thread = threading.Thread(target=lambda: found.append(Intake(shared, drain=False).next()), daemon=True)
    thread.start()
    assert bell.waited_for.wait(30)
    return thread, found


@pytest.mark.usefixtures("patient_lane")
def test_an_idle_lane_is_woken_by_a_commit(db: Database, sql: psycopg.Connection) -> None:
    switch(db)
    shared = shared_with(db)
    with running(shared):
        eventually(lambda: hears(shared), what="listening")
        thread, found = idle(shared)
        sql.execute(EVENT)
        thread.join(30)
        assert [len(batch.events) for batch in found if isinstance(batch, Batch)] == [1]


@pytest.mark.usefixtures("patient_lane")
def test_a_ring_between_an_empty_claim_and_the_wait_is_heard(
    db: Database, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, claim = shared_with(db), Intake._claim

    def claim_and_miss(self: Intake, lease: Lease, *, alone: bool) -> Batch | None:
        batch = claim(self, lease, alone=alone)
        if not batch:
            sql.execute(EVENT)
            shared.bell.set()
        return batch

    monkeypatch.setattr(Intake, "_claim", claim_and_miss)
    thread, found = idle(shared)
    thread.join(30)
    assert [len(batch.events) for batch in found if isinstance(batch, Batch)] == [1]


@pytest.mark.usefixtures("patient_lane")
def test_a_stop_wakes_whoever_waits_for_work(db: Database) -> None:
    shared = shared_with(db)
    thread, found = idle(shared)
    shared.stop()
    thread.join(30)
    assert found == [None]


def test_a_connection_that_was_ended_comes_back(db: Database, sql: psycopg.Connection) -> None:
    switch(db)
    shared = shared_with(db)
    with capture_logs() as said, running(shared):
        for number in (1, 2, 3):
            eventually(lambda n=number: len(said) == 2 * n - 1 and hears(shared), what="listening")  # type: ignore[misc]
            sql.execute(END_LISTENERS)
            eventually(lambda n=number: len(said) == 2 * n, what="said")  # type: ignore[misc]
    assert [line["log_level"] for line in said] == ["info", "warning"] * 3


def test_a_link_that_fell_silent_is_noticed(database_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SILENCE", 0.0)
    monkeypatch.setattr(listener, "PATIENCE", 2.0)
    db = Database(database_proxy.url, connections=2, longest=1.0)
    switch(db)
    shared = shared_with(db)
    with capture_logs() as said, running(shared):
        eventually(lambda: hears(shared), what="listening")
        database_proxy.darken("LISTEN")
        eventually(lambda: not hears(shared), within=20, what="noticed")
        eventually(lambda: hears(shared), what="by another connection")
    assert [line["log_level"] for line in said] == ["info", "warning", "info"]
    db.close()


@pytest.mark.skipif(not pgbouncer.available(), reason="no PgBouncer to be had")
def test_behind_a_pooler_it_says_so_once_and_polls(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PATIENCE", 0.2)
    direct = Database(empty_url)
    upgrade(direct, None)
    switch(direct)
    with pgbouncer.pgbouncer(empty_url, size=1) as url:
        pooled = Database(url, connections=3, longest=5.0)
        shared, send = shared_with(pooled), notify.send
        sent: list[str] = []

        def counted(connection: Connection, channel: str, payload: str) -> None:
            sent.append(payload)
            send(connection, channel, payload)

        monkeypatch.setattr(notify, "send", counted)
        with capture_logs() as said, running(shared):
            eventually(lambda: len(sent) > 3, what="tried again")
        assert [(line["log_level"], line["problem"]) for line in said] == [("warning", listener.DEAF)]
        assert "pooler" in said[0]["hint"]
        with pooled.begin() as connection:
            left = connection.exec_driver_sql("SELECT pg_listening_channels()").all()
        assert left == [], "in the session that the pooler keeps"
        pooled.close()
    direct.close()


def test_what_a_session_of_the_pool_hears_does_not_pile_up(db: Database) -> None:
    with db.begin() as connection:
        connection.exec_driver_sql("LISTEN somebody")
        driver: Any = connection.connection.driver_connection
    for _ in range(3):
        with db.begin() as connection:
            notify.send(connection, "somebody", "x")
    assert not driver._notifies_backlog


def test_a_worker_hears_of_the_switch_while_it_runs(
    worker: Callable[..., Worker], scene: Scene, db: Database
) -> None:
    running_worker = worker(OUTBOX_POLL_INTERVAL_SECONDS="0.1")
    scene.load(10)
    scene.finished_by(running_worker, 10)
    assert running_worker.metric(LISTENING) == 0
    switch(db)
    eventually(lambda: running_worker.metric(LISTENING) == 1, what="listening")
    scene.load(10)
    scene.finished_by(running_worker, 20)


def test_a_worker_that_shall_not_listen_only_polls(
    worker: Callable[..., Worker], scene: Scene, db: Database
) -> None:
    switch(db)
    running_worker = worker("--notify", "off", OUTBOX_POLL_INTERVAL_SECONDS="0.1")
    scene.load(10)
    scene.finished_by(running_worker, 10)
    with db.begin() as connection:
        assert notify.status(connection).listening == 0
