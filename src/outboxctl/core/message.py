"""Several statements in one message, for whose answer the client waits once; repeated ones planned once.

To plan takes five times as long as to execute, of a claim of one event and of a look-up in the catalog. A
statement is planned once only in a session of our own. Behind a pooler the next transaction may be in another
session, which has none of our prepared statements, or those of another client by the same names. There the
process id of the backend that answers is not the one that the client was given when it connected.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg

from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, TextClause
from outboxctl.core.sql.engine import driver_form
from outboxctl.core.sql.transaction import StatementResult, exchange, session, state, take_opening

COMMIT = "COMMIT"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
KEY = "outboxctl.prepared"  # in the `info` of a pooled connection
WHO = "SELECT pg_backend_pid()"
# A plan for any values: they are in EXECUTE. The settings of the plan stand before it, as before the
# statement itself: the server plans again where a table, an index or its statistics have changed.
GENERIC = "SET LOCAL plan_cache_mode = force_generic_plan"
MOST = 100  # statements that a session keeps: of that many views a plan each takes some 10 MB of a server
# A text has the driver's form already, and our tables their schemas.
Statement = tuple[TextClause | str, Mapping[str, Any]]


class PlannedOnce(NamedTuple):
    """A statement that a session plans once, where it can; `types` are the SQL types of its parameters.

    EXECUTE takes its snapshot before it waits for locks: of a table that is written anew meanwhile (ALTER
    TABLE … TYPE) that sees no row. So `locks`, a statement that reads the same tables and no row, in the
    driver's form, is executed before it, and has an answer of its own.
    """

    statement: TextClause | str
    values: Mapping[str, Any]
    types: Mapping[str, str]
    locks: str = ""


class PreparedStatements:
    """The prepared statements of one session, by their text; used by whoever has the connection."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self.ours: bool | None = None  # whether the session is ours alone; None: not known yet

    def of(self, text: str, types: Mapping[str, str]) -> list[str]:
        """What executes a statement: its text, or SQL that has the server prepare it first where it is new.

        `types` are the SQL types of its parameters, `%(name)s` in the text, in the order of EXECUTE.
        """
        if not self.ours:
            return [text]
        new = [] if text in self._names else self._prepare(text, types)
        if not types:
            return [*new, f"EXECUTE {self._names[text]}"]
        return [*new, GENERIC, f"EXECUTE {self._names[text]} ({', '.join(f'%({name})s' for name in types)})"]

    def forget(self) -> None:
        """After an error: what of the message was carried out is not known. All are prepared again."""
        self._names = {}

    def _prepare(self, text: str, types: Mapping[str, str]) -> list[str]:
        if len(self._names) >= MOST:
            self.forget()
        before = [] if self._names else ["DEALLOCATE ALL"]  # those that were forgotten, too
        # By what it does: where a pooler went unnoticed, a session of others has no other statement by it.
        digest = sha256("|".join([text, *types, *types.values()]).encode()).hexdigest()
        self._names[text] = name = f"outboxctl_{digest[:16]}"
        for number, parameter in enumerate(types, 1):
            text = text.replace(f"%({parameter})s", f"${number}")
        given = f" ({', '.join(types.values())})" if types else ""
        return [*before, f"PREPARE {name}{given} AS {text}"]


def send(
    connection: Connection, *statements: Statement | PlannedOnce | str, commit: bool = False
) -> list[StatementResult]:
    """Execute these statements in one message, and with `commit` end the transaction by it.

    A text sets something (SET LOCAL …) and has no answer. The message also opens the transaction where that
    was put off. After an error there are no answers, not of the statements before it either; one that comes
    in place of COMMIT's answer does not show whether it took effect.
    """
    kept: PreparedStatements = connection.info.setdefault(KEY, PreparedStatements())
    asks = kept.ours is None and any(isinstance(each, PlannedOnce) for each in statements)
    opening = take_opening(connection).replace("%", "%%")
    texts, values = _composed(connection, kept, statements)
    message = "; ".join(filter(None, [opening, WHO if asks else "", *texts, COMMIT if commit else ""]))
    try:
        results = exchange(connection, message, values)
    except psycopg.Error:
        kept.forget()
        raise
    if asks:
        # As the server named it when the connection was opened.
        kept.ours = results.pop(0).rows[0][0] == session(connection).info.backend_pid
    if commit:  # what is sent now is in another transaction, with the same limits
        known = state(connection)
        known.opening = known.whole
    return results


def _composed(
    connection: Connection, kept: PreparedStatements, statements: Sequence[Statement | PlannedOnce | str]
) -> tuple[list[str], dict[str, Any]]:
    """The SQL of each statement, and the values of all."""
    texts, values = [], dict[str, Any]()
    for number, statement in enumerate(statements):
        if isinstance(statement, str):
            texts.append(statement)
            continue
        text, suffix = statement[0], ""
        if not isinstance(text, str):
            text, suffix = places(connection).render(_numbered(text, number)), f"_{number}"
        values |= {f"{name}{suffix}": value for name, value in statement[1].items()}
        types = statement.types if isinstance(statement, PlannedOnce) else {}
        numbered = {f"{name}{suffix}": each for name, each in types.items()}
        if kept.ours and types and isinstance(statement, PlannedOnce) and statement.locks:
            texts += kept.of(statement.locks, {})
        texts += kept.of(text, numbered) if types else [text]
    return texts, values


@lru_cache(256)
def _numbered(statement: TextClause, number: int) -> str:
    """A statement in the driver's form, its parameters numbered: others have the same names."""
    return PLACEHOLDER.sub(rf"%(\1_{number})s", driver_form(statement))
