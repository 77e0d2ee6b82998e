"""Attempts that were lost, and why: a trigger notes each event that a claim gave back without its attempt."""

from collections import Counter
from collections.abc import Iterable

import psycopg

SCHEMA = """
CREATE SCHEMA storm;
CREATE TABLE storm.attempts (
    at float8, owner text, began float8, reason text, event uuid, returned boolean, transaction xid8
);
CREATE FUNCTION storm.note() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO storm.attempts VALUES (extract(epoch FROM clock_timestamp()), OLD.owner,
        extract(epoch FROM OLD.processing_started_at), NEW.error_reason, OLD.id, NEW.status = 'processing',
        pg_current_xact_id());
    RETURN NULL;
END $$;
CREATE TRIGGER storm_attempts AFTER UPDATE ON search_outbox_events FOR EACH ROW
    WHEN (OLD.status = 'processing' AND (NEW.status = 'processing' AND NEW.attempts < OLD.attempts
        OR NEW.status IN ('pending', 'failed') AND NEW.attempts >= OLD.attempts))
    EXECUTE FUNCTION storm.note();
"""
# An attempt may be returned by a statement before the one that ends the claim.
NOTED = """
SELECT at, owner, began, reason FROM storm.attempts n WHERE NOT returned AND NOT EXISTS (
    SELECT FROM storm.attempts r WHERE r.returned AND r.event = n.event AND r.transaction = n.transaction)
"""
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
