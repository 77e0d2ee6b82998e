"""Several statements in one message, for whose answer the client waits once."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, StatementResult, TextClause
from outboxctl.core.sql.statement import PLACEHOLDER

COMMIT = "COMMIT"
Statement = tuple[TextClause, Mapping[str, Any]]


def send(connection: Connection, *statements: Statement | str, commit: bool = False) -> list[StatementResult]:
    """Execute these statements in one message, and with `commit` end the transaction by it.

    A text sets something (SET LOCAL …) and has no answer. The message also opens the transaction where that
    was put off. After an error there are no answers, not of the statements before it either; one that comes
    in place of COMMIT's answer does not show whether it took effect.
    """
    texts, values = [connection.take_opening().replace("%", "%%")], dict[str, Any]()
    for number, statement in enumerate(statements):
        if isinstance(statement, str):
            texts.append(statement)
        else:
            texts.append(places(connection).render(_numbered(statement[0].query, number)))
            values |= {f"{name}_{number}": value for name, value in statement[1].items()}
    results = connection.exchange("; ".join(filter(None, [*texts, COMMIT if commit else ""])), values)
    if commit:
        connection.after_commit()
    return results


@lru_cache(256)
def _numbered(query: str, number: int) -> str:
    """A statement in the driver's form, its parameters numbered: others have the same names."""
    return PLACEHOLDER.sub(rf"%(\1_{number})s", query)
