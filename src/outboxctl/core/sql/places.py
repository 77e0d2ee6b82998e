"""Where our tables are, and statements in which they are named with their schema."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from psycopg.sql import Identifier

from outboxctl.core.schema.names import EVENTS, TABLES, VERSION

NAMES = (*TABLES, VERSION)
# A name by itself: not quoted, not part of a longer one, not qualified; of literals only those that become a
# regclass.
TABLE_NAMES = "|".join(NAMES)
# Functions that migrations make for the trigger of the same name: a trigger's name takes no schema.
FUNCTIONS = "outbox_audit_by_database|outbox_event_begins|outbox_workers_own"
NAME = re.compile(
    rf"(?<![\w.\"$'])({TABLE_NAMES})(?![\w\"$'])"
    rf"|(?<![\w.\"$'])({FUNCTIONS})(?=\(\))"
    rf"|'({TABLE_NAMES})'(?=::regclass| AS (?:pg_catalog\.)?regclass)|(?<=to_regclass\()'({TABLE_NAMES})'"
)


@dataclass(frozen=True, eq=False)
class Places:
    """The schemas that a login searches, and the schema of each table.

    A missing table will be made in the first of the `schemas`. `searched`: the schemas that the application's
    code on our tables (triggers, defaults) may need and in which no other role creates objects.
    """

    schemas: tuple[str, ...] = ()
    tables: dict[str, str] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    render: Callable[[str], str] = field(init=False)  # a statement with our tables qualified; remembered

    def __post_init__(self) -> None:
        object.__setattr__(self, "render", lru_cache(512)(self._render))

    def schema(self, table: str) -> str | None:
        """The schema of one of our tables; None where the login searches none."""
        return self.tables.get(table) or next(iter(self.schemas), None)

    def name(self, table: str, *, beside: str = "") -> str:
        """The table's qualified name for SQL; of an unknown table in the schema of `beside`."""
        schema = self.tables.get(table) or self.schema(beside)
        return f"{quoted(schema)}.{table}" if schema else table

    def _render(self, statement: str) -> str:
        return NAME.sub(self._qualified, statement)

    def _qualified(self, match: re.Match[str]) -> str:
        if match[2]:
            return self.name(match[2], beside=EVENTS).replace("%", "%%")
        name = self.name(str(match[match.lastindex or 0])).replace("%", "%%")
        return name if match[1] else f"""'{name.replace("'", "''")}'"""


UNKNOWN = Places()  # of a connection that has not looked yet


def quoted(name: str) -> str:
    """An identifier for SQL."""
    return Identifier(name).as_string()
