"""Times of a test: the rows' times are moved, and nothing sleeps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from outboxctl.core.database import Connection, Database
from outboxctl.core.sql import text

NOW = datetime(2026, 2, 3, 10, 0, tzinfo=UTC)
Insert = Callable[..., str]
TIMES = {
    "search_outbox_events": (
        *("created_at", "updated_at", "next_retry_at", "lease_until"),
        *("processing_started_at", "processed_at", "last_replayed_at"),
    ),
    "outbox_deletes": ("delivered_at", "due_at"),
    "outbox_operator_audit": ("at",),
    "outbox_workers": ("started_at", "heartbeat_at", "progress_at"),
}


def at(seconds: float) -> datetime:
    """A moment so many seconds after the test's beginning."""
    return NOW + timedelta(seconds=seconds)


@contextmanager
def when(db: Database, seconds: float) -> Iterator[Connection]:
    """A transaction so many seconds after the test's beginning: all times are moved there, and back."""
    with db.begin() as connection:
        away = connection.exec_driver_sql("SELECT now()").scalar_one() - at(seconds)
        move(connection, away)
        yield connection
        move(connection, -away)


def move(connection: Connection, by: timedelta) -> None:
    """Make all times of all rows that nobody has locked later."""
    for table, columns in TIMES.items():
        later = ", ".join(f"{column} = {column} + CAST(:by AS interval)" for column in columns)
        rows = f"SELECT ctid FROM {table} FOR UPDATE SKIP LOCKED"
        connection.execute(text(f"UPDATE {table} SET {later} WHERE ctid = ANY (ARRAY ({rows}))"), {"by": by})
