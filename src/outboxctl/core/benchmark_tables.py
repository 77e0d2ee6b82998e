"""Both tables as a whole: emptied, vacuumed, counted. For measurements, which have them to themselves."""

from uuid import UUID

import psycopg
from sqlalchemy import Connection, text

from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.net.urls import check_database_url

TRUNCATE = text(f"TRUNCATE {EVENTS}, {SOURCE}")
DELETE = [text(f"DELETE FROM {table}") for table in (EVENTS, SOURCE)]
DONE = text(f"SELECT count(*) FROM {EVENTS} WHERE status = 'done'")
FIRST_CLAIM = text(f"SELECT coalesce(extract(epoch FROM min(processing_started_at)), 0) FROM {EVENTS}")
NOTHING = text("SELECT 1")
LAST_SETTLE = text(f"SELECT coalesce(extract(epoch FROM max(processed_at)), 0) FROM {EVENTS}")

MOMENT = "extract(epoch FROM processed_at)::float8"
SETTLED = text(f"SELECT entity_id, {MOMENT} FROM {EVENTS} WHERE status = 'done'")


def empty(connection: Connection) -> None:
    """Empty both tables, leaving nothing of the rows that were there."""
    connection.execute(TRUNCATE)


def delete(connection: Connection) -> None:
    """Delete every row, as an application would: what they leave is vacuum's."""
    for statement in DELETE:
        connection.execute(statement)


def vacuum(url: str) -> None:
    """Vacuum and analyse both tables."""
    with psycopg.connect(check_database_url(url), autocommit=True) as connection:
        connection.execute(f"VACUUM (ANALYZE) {EVENTS}, {SOURCE}".encode())


def checkpoint(url: str) -> None:
    """Have the server write out everything; `url` must be a superuser's."""
    with psycopg.connect(check_database_url(url), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def nothing(connection: Connection) -> None:
    """The smallest question there is."""
    connection.execute(NOTHING)


def done(connection: Connection) -> int:
    """How many events are done."""
    return int(connection.execute(DONE).scalar_one())


def first_claim(connection: Connection) -> float:
    """When the oldest claim in hand began, in seconds since the epoch; 0 if there is none."""
    return float(connection.execute(FIRST_CLAIM).scalar_one())


def last_settle(connection: Connection) -> float:
    """When the newest settle began, in seconds since the epoch; 0 if nothing is done."""
    return float(connection.execute(LAST_SETTLE).scalar_one())


def settled(connection: Connection) -> dict[UUID, float]:
    """When each entity's settle began, in seconds since the epoch; each has one event."""
    found: dict[UUID, float] = dict(connection.execute(SETTLED).all())
    return found
