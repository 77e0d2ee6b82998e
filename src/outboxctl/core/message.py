"""Several statements in one message, for whose answer the client waits once."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg

from outboxctl.core.prepared import WHO, PreparedStatements, prepared
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, TextClause
from outboxctl.core.sql.engine import driver_form
from outboxctl.core.sql.transaction import StatementResult, exchange, state, take_opening

COMMIT = "COMMIT"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
Statement = tuple[TextClause, Mapping[str, Any]]


class PlannedOnce(NamedTuple):
    """A statement that a session plans once, where it can; `types` are the SQL types of its parameters."""

    statement: TextClause
    values: Mapping[str, Any]
    types: Mapping[str, str]


def send(
    connection: Connection, *statements: Statement | PlannedOnce | str, commit: bool = False
) -> list[StatementResult]:
    """Execute these statements in one message, and with `commit` end the transaction by it.

    A text sets something (SET LOCAL …) and has no answer. The message also opens the transaction where that
    was put off. After an error there are no answers, not of the statements before it either; one that comes
    in place of COMMIT's answer does not show whether it took effect.
    """
    kept, opening = prepared(connection), take_opening(connection).replace("%", "%%")
    texts, values = _composed(connection, kept, statements)
    message = "; ".join(filter(None, [opening, *texts, COMMIT if commit else ""]))
    try:
        results = exchange(connection, message, values)
    except psycopg.Error:
        kept.forget()
        raise
    if commit:  # what is sent now is in another transaction, with the same limits
        known = state(connection)
        known.opening = known.whole
    return _wanted(kept, texts, results)


def _composed(
    connection: Connection, kept: PreparedStatements, statements: Sequence[Statement | PlannedOnce | str]
) -> tuple[list[str], dict[str, Any]]:
    """The SQL of each statement, and the values of all; first of all, who answers, where that decides."""
    asks = kept.ours is None and any(isinstance(each, PlannedOnce) for each in statements)
    texts, values = [WHO] if asks else [], dict[str, Any]()
    for number, statement in enumerate(statements):
        if isinstance(statement, str):
            texts.append(statement)
            continue
        text = places(connection).render(_numbered(statement[0], number))
        values |= {f"{name}_{number}": value for name, value in statement[1].items()}
        types = statement.types if isinstance(statement, PlannedOnce) else {}
        texts += (
            kept.of(text, {f"{name}_{number}": each for name, each in types.items()}) if types else [text]
        )
    return texts, values


def _wanted(
    kept: PreparedStatements, texts: Sequence[str], results: Sequence[StatementResult]
) -> list[StatementResult]:
    """The answers of the caller's statements; of ours, only who has answered is of interest."""
    answered = zip((text for text in texts if not text.startswith("SET ")), results, strict=True)
    wanted = []
    for text, result in answered:
        if text is WHO:
            kept.learn(result.rows[0][0])
        elif not text.startswith(("PREPARE ", "DEALLOCATE ")):
            wanted.append(result)
    return wanted


@lru_cache(256)
def _numbered(statement: TextClause, number: int) -> str:
    """A statement in the driver's form, its parameters numbered: others have the same names."""
    return PLACEHOLDER.sub(rf"%(\1_{number})s", driver_form(statement))
