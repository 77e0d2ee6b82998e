"""Source rows in the order in which they lie in the table: each page is read once, from first to last.

By keys, each row is another page of the table: where it is larger than the memory, a read from the disk.
"""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg.types.string import ByteaBinaryLoader

from outboxctl.core.database import driver
from outboxctl.core.documents.entities import ID, prepare
from outboxctl.core.schema.names import DOCUMENT, SOURCE, parts
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text

# Ranges of pages (TID range scans) came with PostgreSQL 14. A view and a foreign table have no pages.
TABLE = text(f"""
SELECT max(pg_relation_size(part) / current_setting('block_size')::bigint),
    bool_and(relkind IN ('r', 'p')) AND current_setting('server_version_num')::int >= 140000
FROM ({parts(SOURCE)}) parts JOIN pg_class ON pg_class.oid = part
""")
# Rows without a key are left out: no event can refer to them.
ROWS = f"""
SELECT {ID}, s.event_version, {{document}} FROM {SOURCE} s
WHERE s.ctid >= CAST(%(first)s AS tid) {{below}} AND s.entity_type IS NOT NULL AND s.entity_id IS NOT NULL
"""
BELOW = "AND s.ctid < CAST(%(end)s AS tid)"

RowState = tuple[bytes, int | None, bytes | None]  # its document's id, its version, its document as JSON


class PageRange(NamedTuple):
    """The pages of a table, or of each of its partitions, from `first` to before `end` (None: all)."""

    first: int
    end: int | None


def page_ranges(connection: Connection, rows: int, size: int) -> list[PageRange] | None:
    """All pages, in ranges of about `size` of all `rows`; None where rows cannot be read so."""
    pages, ordered = connection.execute(TABLE).one()
    if not ordered:
        return None
    step = max(1, size * pages // max(1, rows))
    starts = range(0, max(1, pages), step)
    return [PageRange(first, end) for first, end in zip(starts, [*starts[1:], None], strict=True)]


def rows(connection: Connection, pages: PageRange, *, content: bool) -> Sequence[RowState]:
    """The rows of these pages; without `content` their documents are not made.

    One that is updated meanwhile moves, and may be in no range or in two.
    """
    prepare(connection)
    document, below = DOCUMENT if content else "NULL::text", "" if pages.end is None else BELOW
    statement = places(connection).render(ROWS.format(document=document, below=below))
    with driver(connection).cursor(binary=True) as cursor:
        cursor.adapters.register_loader("text", ByteaBinaryLoader)  # as the server sends them
        cursor.execute(statement, {"first": f"({pages.first},0)", "end": f"({pages.end},0)"})
        found: list[RowState] = cursor.fetchall()
        return found
