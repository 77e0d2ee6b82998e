"""NOTIFY: a hint that wakes an idle lane. Whatever becomes of it, no event is lost and nothing stands."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from structlog.testing import capture_logs

import pgbouncer
from fakes.postgres_proxy import Proxy
from outboxctl.core.database import Database
from outboxctl.core.schema import notify
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.sql import Connection
from outboxctl.worker import wiring
from outboxctl.worker.claiming import claimer
from outboxctl.worker.claiming.leases import Batch
from outboxctl.worker.signals import Signals
from outboxctl.worker.upkeep import listener
from outboxctl.worker.upkeep.listener import Listener
from outboxctl.worker.wiring import WorkerParts
from processes import Worker, eventually
from scene import Scene
from worker_parts import make_parts

EVENT = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
VALUES (gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'pending')"""
END_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
LISTENING = "outbox_notify_listening"


def switch(db: Database, *, on: bool = True) -> notify.NotifyState:
    with db.begin() as connection:
        return notify.switch(connection, on=on)


def hears(parts: WorkerParts) -> bool:
    return (
        f'{LISTENING}{{projection="search_index_to_elastic"}} 1.0'
        in parts.context.metrics.snapshot().decode()
    )


@contextmanager
def running(parts: WorkerParts) -> Iterator[None]:
    """A listener as the daemon runs one."""
    own = Listener(parts.context)

    def loop() -> None:
        while not parts.context.signals.wait_for_stop(0.02):
            own.turn()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        parts.context.signals.stop()
        thread.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("CHECK_SECONDS", 0.05), ("LONGEST_PAUSE", 0.05), ("TICK", 0.05)):
        monkeypatch.setattr(listener, name, seconds)


@pytest.fixture
def patient_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle lane that would not look again by itself while a test lasts."""
    monkeypatch.setattr(claimer.Claimer, "_first_wait", 3600.0)


class WatchedSignals(Signals):
    """Shows when somebody waits for news."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = threading.Event()

    def wait_for_news(self, since: int, seconds: float) -> None:
        self.waited_for.set()
        super().wait_for_news(since, seconds)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> WatchedSignals:
    """Those of the worker that the test makes."""
    signals = WatchedSignals()
    monkeypatch.setattr(wiring, "Signals", lambda: signals)
    return signals


def idle(parts: WorkerParts, signals: WatchedSignals) -> tuple[threading.Thread, list[Batch | None]]:
    """A lane that has found nothing and waits, and what it claims in the end."""
    batches: list[Batch | None] = []
    thread = threading.Thread(target=lambda: batches.append(parts.claimer.claim(drain=False)), daemon=True)
    thread.start()
    assert signals.waited_for.wait(30)
    return thread, batches


@pytest.mark.usefixtures("patient_lane")
def test_an_idle_lane_is_woken_by_a_commit(
    db: Database, sql: psycopg.Connection, signals: WatchedSignals
) -> None:
    switch(db)
    parts = make_parts(db)
    with running(parts):
        eventually(lambda: hears(parts), what="listening")
        thread, batches = idle(parts, signals)
        sql.execute(EVENT)
        thread.join(30)
        assert [len(batch.events) for batch in batches if batch] == [1]


def test_a_connection_that_was_ended_comes_back(db: Database, sql: psycopg.Connection) -> None:
    switch(db)
    parts = make_parts(db)
    with capture_logs() as lines, running(parts):
        for number in (1, 2, 3):
            eventually(lambda n=number: len(lines) == 2 * n - 1 and hears(parts), what="listening")  # type: ignore[misc]
            sql.execute(END_LISTENERS)
            eventually(lambda n=number: len(lines) == 2 * n, what="said")  # type: ignore[misc]
    assert [line["log_level"] for line in lines] == ["info", "warning"] * 3


@pytest.mark.slow(reason="real workers for some seconds")
def test_a_link_that_fell_silent_is_noticed(database_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SILENCE", 0.0)
    monkeypatch.setattr(listener, "PATIENCE", 2.0)
    db = Database(database_proxy.url, connections=2, longest=1.0)
    switch(db)
    parts = make_parts(db)
    with capture_logs() as lines, running(parts):
        eventually(lambda: hears(parts), what="listening")
        database_proxy.darken("LISTEN")
        eventually(lambda: not hears(parts), within=20, what="noticed")
        eventually(lambda: hears(parts), what="by another connection")
    assert [line["log_level"] for line in lines] == ["info", "warning", "info"]
    db.close()


@pytest.mark.skipif(not pgbouncer.available(), reason="no PgBouncer to be had")
def test_behind_a_pooler_it_says_so_once_and_polls(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PATIENCE", 0.2)
    direct = Database(empty_url)
    upgrade(direct, None)
    switch(direct)
    with pgbouncer.pgbouncer(empty_url, size=1) as url:
        pooled = Database(url, connections=3, longest=5.0)
        parts, send = make_parts(pooled), notify.send
        sent: list[str] = []

        def counted(connection: Connection, channel: str, payload: str) -> None:
            sent.append(payload)
            send(connection, channel, payload)

        monkeypatch.setattr(notify, "send", counted)
        with capture_logs() as lines, running(parts):
            eventually(lambda: len(sent) > 3, what="tried again")
        assert [(line["log_level"], line["problem"]) for line in lines] == [
            ("warning", listener.NOT_RECEIVED)
        ]
        assert "pooler" in lines[0]["hint"]
        with pooled.begin() as connection:
            left = connection.exec_driver_sql("SELECT pg_listening_channels()").all()
        assert left == [], "in the session that the pooler keeps"
        pooled.close()
    direct.close()


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
