"""A hint for a name that is not there: what it may have meant, or that a schema is needed."""

from difflib import get_close_matches

from outboxctl.core.projections import catalog
from outboxctl.core.sql import Connection
from outboxctl.domain.printable import brief

NAMED = "tables, functions and types of yours are named with their schema, for example SCHEMA.{name}"
SHOWN = 3  # tables


def table_hint(connection: Connection, name: str) -> str:
    """Tables of the same name in other schemas, else the one of the nearest name, else `schema_hint`."""
    known = catalog.names(connection)
    same = [each for each in known if each.rpartition(".")[2] == name.rpartition(".")[2]]
    near = same[:SHOWN] or get_close_matches(name, known, n=1)
    return f"did you mean {brief(' or '.join(near), 300)}?" if near else schema_hint(name)


def schema_hint(name: str) -> str:
    """How a table, function or type is named; empty for a name that has its schema."""
    return "" if "." in name else NAMED.format(name=brief(name, 140))
