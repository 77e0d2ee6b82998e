"""Attempts that were lost, and why: a trigger notes each event that a claim gave back without its attempt."""

from collections import Counter
from collections.abc import Iterable

import psycopg

SCHEMA = """
CREATE SCHEMA storm;
CREATE TABLE storm.attempts (at float8, owner text, began float8, reason text);
CREATE FUNCTION storm.note() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO storm.attempts VALUES (extract(epoch FROM clock_timestamp()), OLD.owner,
        extract(epoch FROM OLD.processing_started_at), NEW.error_reason);
    RETURN NULL;
END $$;
CREATE TRIGGER storm_attempts AFTER UPDATE ON search_outbox_events FOR EACH ROW
    WHEN (OLD.status = 'processing' AND NEW.status IN ('pending', 'failed') AND NEW.attempts >= OLD.attempts)
    EXECUTE FUNCTION storm.note();
"""
NOTED = "SELECT at, owner, began, reason FROM storm.attempts"
EXPIRED = "lease_expired"
EARLIER = 1.0  # seconds before a claim at which a blow at its worker still explains what became of it


def note(sql: psycopg.Connection) -> None:
    """From now on."""
    sql.execute(SCHEMA)


def lost(sql: psycopg.Connection, struck: Iterable[tuple[str, float]]) -> tuple[int, Counter[str]]:
    """How many attempts blows at workers explain, and by reason those that they do not.

    `struck`: workers' names, and when, in seconds of the epoch.
    """
    blows, explained, rest = [*struck], 0, Counter[str]()
    for at, owner, began, reason in sql.execute(NOTED):
        hit = any(name == owner and began - EARLIER <= when <= at for name, when in blows)
        if reason == EXPIRED and hit:
            explained += 1
        else:
            rest[str(reason)] += 1
    return explained, rest
