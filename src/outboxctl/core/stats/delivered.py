"""How many events became done, minute by minute, without an index and without reading a large table.

No index has `processed_at`: each settle would pay for it. So a bounded part of the heap is read: of a table
up to 2 * SHARE bytes all; of a larger one the newest SHARE bytes, which hold what was inserted last, and a
random sample of about as many of the rest, multiplied. See "Tid Range Scan" (`enable_tidscan`) and
TABLESAMPLE in PostgreSQL's manual.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from outboxctl.core.operator.prune import OLDEST_SERVER
from outboxctl.core.schema.names import EVENTS, parts
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats.workers import clock
from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status

SHARE = 32 * 2**20  # bytes: some 230,000 events; both shares took 0.35 s on a busy machine of 2 cores
DAY, HOUR, QUARTER = 1440, 60, 15  # minutes

# The newest partition first: bounds that are times sort as their texts do; others come in any order.
PARTS = text(f"""
SELECT part::regclass::text AS name, pg_relation_size(part) AS bytes,
    current_setting('block_size')::bigint AS block, current_setting('server_version_num')::integer AS server
FROM ({parts(EVENTS)}) p JOIN pg_class c ON c.oid = p.part
WHERE pg_relation_size(part) > 0 ORDER BY pg_get_expr(c.relpartbound, c.oid) DESC NULLS LAST
""")
MINUTES = f"""
SELECT floor(date_part('epoch', CAST(:at AS timestamptz) - processed_at) / 60)::integer AS ago, count(*)
FROM {{part}} WHERE {{which}} AND status = '{Status.DONE}' AND processed_at <= CAST(:at AS timestamptz)
    AND processed_at > CAST(:at AS timestamptz) - interval '1 day'
    AND error_reason IS DISTINCT FROM '{Reason.DISCARDED}'
GROUP BY 1
"""
NEWEST, REST = "ctid >= CAST(:first AS tid)", "ctid < CAST(:first AS tid)"
SAMPLED = " TABLESAMPLE SYSTEM (CAST(:percent AS real))"


@dataclass(frozen=True)
class Delivered:
    """Events that became done, the oldest first: by minute for an hour, by quarter of an hour for a day.

    Discarded ones do not count. `estimated` where only `read_bytes` of `table_bytes` were read.
    """

    last_hour: list[int]
    last_day: list[int]
    estimated: bool
    read_bytes: int
    table_bytes: int


class _Part(NamedTuple):
    """A table or partition; pages from `first` on are all read, those before it sampled."""

    name: str
    pages: int
    first: int


def delivered(connection: Connection, *, now: datetime | None = None) -> Delivered:
    """Count, or estimate, what became done within a day."""
    rows = connection.execute(PARTS).all()
    block = rows[0].block if rows else 1
    divided = list(_divided(rows, SHARE // block))
    table, rest = sum(part.pages for part in divided), sum(part.first for part in divided)
    percent = min(100.0, 100 * (SHARE // block) / max(1, rest))
    minutes = _minutes(connection, divided, percent, now or clock(connection))
    read = table - rest + round(rest * percent / 100)
    hour, day = _bars(minutes, HOUR, 1), _bars(minutes, DAY, QUARTER)
    return Delivered(hour, day, rest > 0, read * block, table * block)


def _divided(rows: Any, share: int) -> Iterator[_Part]:
    """How much of each part is read in full: all where it fits two shares, else one share of the newest."""
    pages = [row.bytes // row.block for row in rows]
    left = 2 * share if sum(pages) <= 2 * share else share
    for row, size in zip(rows, pages, strict=True):
        # An older server would read the whole part for a range of its pages.
        full = min(size, left) if row.server >= OLDEST_SERVER or size <= left else 0
        left -= full
        yield _Part(row.name.replace(":", r"\:"), size, size - full)


def _minutes(
    connection: Connection, divided: list[_Part], percent: float, at: datetime
) -> Mapping[int, float]:
    """How many by minutes ago: those counted, and those of the sample multiplied."""
    minutes = defaultdict[int, float](float)
    for part in divided:
        values = {"first": f"({part.first},0)", "at": at}
        if part.first < part.pages:
            counted = text(MINUTES.format(part=part.name, which=NEWEST))
            for ago, count in connection.execute(counted, values):
                minutes[ago] += count
        if part.first:
            sampled = text(MINUTES.format(part=part.name + SAMPLED, which=REST))
            for ago, count in connection.execute(sampled, values | {"percent": percent}):
                minutes[ago] += count * 100 / percent
    return minutes


def _bars(minutes: Mapping[int, float], length: int, width: int) -> list[int]:
    """Sums of `width` minutes each over the last `length`, the oldest first."""
    starts = range(length - width, -1, -width)
    return [round(sum(minutes.get(start + n, 0) for n in range(width))) for start in starts]
