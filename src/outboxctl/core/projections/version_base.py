"""The versions of projected documents: a base, and the serial number of the snapshot that read them.

A document of several tables has no version of its own. The serial number of a snapshot, its `xmax` less the
number of transactions in progress, grows with the end of every transaction that wrote, and two snapshots have
the same only if they see the same (docs/adr/0040). After a restore, or the promotion of a standby that
lagged, serial numbers are smaller than before: the base is raised then.
"""

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import VERSION_BASE

STEP = 2**32  # above the transactions of any database that is not near its end; 2**30 steps fit
HIGHEST = 2**62  # no version of ours is above: one that an index holds was written by somebody else
# Of the statement's own snapshot. A transaction that has written counts itself: it must not have written.
SERIAL = """(SELECT pg_snapshot_xmax(s)::text::bigint - (SELECT count(*) FROM pg_snapshot_xip(s))
    FROM pg_current_snapshot() s)"""
# Fails on a standby, whose snapshots have other numbers: "recovery is in progress".
SERVER = """(SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline"""
# NULL where the base is that of another server or timeline: nothing may be sent with it.
VERSION = f"""SELECT CASE WHEN (b.system_identifier, b.timeline) = (n.system_identifier, n.timeline)
        THEN b.base + {SERIAL} END AS version
    FROM {VERSION_BASE} b, (SELECT {SERVER}) n"""
CURRENT = text(VERSION)
RAISE = text(f"""
UPDATE {VERSION_BASE} b SET
    base = b.base + {STEP} * CASE
        WHEN b.base + {SERIAL} < CAST(:above AS bigint) THEN (:above - b.base - {SERIAL}) / {STEP} + 1
        WHEN b.system_identifier IS NULL THEN 0 ELSE 1 END,
    system_identifier = n.system_identifier, timeline = n.timeline, raised_at = now()
FROM (SELECT {SERVER}) n
WHERE (b.system_identifier, b.timeline) IS DISTINCT FROM (n.system_identifier, n.timeline)
    OR b.base + {SERIAL} < CAST(:above AS bigint)
RETURNING b.base
""")


def current(connection: Connection) -> int | None:
    """The version of what a statement reads now; None while the base is that of another server."""
    version = connection.execute(CURRENT).scalar()
    return None if version is None else int(version)


def raise_base(connection: Connection, *, above: int = -1) -> int | None:
    """Raise the base where it is that of another server or timeline, or where versions are below `above`.

    Of several workers one raises it. Returns the new base, None where nothing was to be done. The first
    server that is seen is written down, and raises nothing.
    """
    base = connection.execute(RAISE, {"above": above}).scalar()
    return None if base is None else int(base)
