"""Statements that a session plans once: to plan a claim costs five times what claiming one event does.

Only in a session of our own. Behind a pooler the next transaction may be in another session, which has none
of our prepared statements, or those of another client by the same names. There the process id of the backend
that answers is not the one that the client was given when it connected.
"""

from collections.abc import Mapping
from hashlib import sha256

from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import session

KEY = "outboxctl.prepared"  # in the `info` of a pooled connection
WHO = "SELECT pg_backend_pid()"
# A plan for any values: they are in EXECUTE. The settings of the plan stand before it, as before the
# statement itself: the server plans again where a table, an index or its statistics have changed.
GENERIC = "SET LOCAL plan_cache_mode = force_generic_plan"


class PreparedStatements:
    """The prepared statements of one session, by their text; used by whoever has the connection."""

    def __init__(self, backend: int) -> None:
        self._backend = backend  # as the server named it when the connection was opened
        self._names: dict[str, str] = {}
        self.ours: bool | None = None  # whether the session is ours alone; None: not known yet

    def of(self, text: str, types: Mapping[str, str]) -> list[str]:
        """What executes a statement: its text, or SQL that has the server prepare it first where it is new.

        `types` are the SQL types of its parameters, `%(name)s` in the text, in the order of EXECUTE.
        """
        if not self.ours:
            return [text]
        new = [] if text in self._names else self._prepare(text, types)
        return [*new, GENERIC, f"EXECUTE {self._names[text]} ({', '.join(f'%({name})s' for name in types)})"]

    def forget(self) -> None:
        """After an error: what of the message was carried out is not known. All are prepared again."""
        self._names = {}

    def learn(self, backend: int) -> None:
        """Take the process id of the backend that answered."""
        self.ours = backend == self._backend

    def _prepare(self, text: str, types: Mapping[str, str]) -> list[str]:
        before = [] if self._names else ["DEALLOCATE ALL"]  # those that were forgotten, too
        self._names[text] = name = _name(text, types)
        for number, parameter in enumerate(types, 1):
            text = text.replace(f"%({parameter})s", f"${number}")
        return [*before, f"PREPARE {name} ({', '.join(types.values())}) AS {text}"]


def _name(text: str, types: Mapping[str, str]) -> str:
    """By what it does: where a pooler went unnoticed, a session of others has no other statement by it."""
    return f"outboxctl_{sha256('|'.join([text, *types, *types.values()]).encode()).hexdigest()[:16]}"


def prepared(connection: Connection) -> PreparedStatements:
    """Those of this connection's session."""
    known: PreparedStatements | None = connection.info.get(KEY)
    if known is None:
        known = connection.info[KEY] = PreparedStatements(session(connection).info.backend_pid)
    return known
