"""Reading rows of the application, of which one may raise anything: by halves, so that it alone is not read.

Whether the session is lost decides that the database is away, not the SQLSTATE: a function, a cast or a
foreign table of the application raises what it likes (docs/adr/0058-an-error-belongs-to-the-row.md).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.exc import DBAPIError

from outboxctl.core.database_errors import driver_error, sqlstate
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import lost
from outboxctl.domain.errors import InconclusiveError, NotPermittedError, OutboxctlError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation
from outboxctl.domain.redaction import redact

ENDS_SESSION = ("FATAL", "PANIC")  # severities
CUT_OFF, DENIED = "57014", "42501"
# What passes by itself: a statement that was cancelled, a lock that was not given, a deadlock, two
# transactions that cannot both be right.
PASSING = frozenset({CUT_OFF, "55P03", "40P01", "40001"})
# A text of ours that PostgreSQL quotes in its words, of a row without a usable version.
OURS, NO_VERSION = "outboxctl: ", ", no version from 0 to 2^62"
QUOTED = re.compile(rf"{OURS}(.*{re.escape(NO_VERSION)})", re.DOTALL)
# PostgreSQL's function that refuses to run a policy where `row_security` is off.
POLICY = "check_enable_rls"
NO_POLICY = "whoever reads it, of a view its owner, needs BYPASSRLS, or to own the table without FORCE"
HINT = "correct the row or what reads it, then run the same again"
Key = TypeVar("Key")
Found = TypeVar("Found")


class ReadRefusedError(InconclusiveError):
    """The server refused to read rows of the application, and the session goes on.

    `words` are PostgreSQL's, or ours, without a `state`. `late`: the statement was cancelled, after its time
    limit in general. `passes`: the same may be read at another time. `denied`: a right is missing.
    `of_any_row`: whatever is read, it is refused.
    """

    of_any_row = False

    def __init__(self, state: str, words: str) -> None:
        super().__init__(f"rows cannot be read: {words}", hint=HINT)
        self.state, self.words = state, words
        self.late, self.passes = state == CUT_OFF, state in PASSING
        self.denied = state == DENIED and NO_POLICY not in words


@contextmanager
def reading_rows(connection: Connection) -> Iterator[None]:
    """Raise ReadRefusedError where a statement fails, and the driver's error where the session is lost."""
    try:
        yield
    except (psycopg.Error, DBAPIError) as raised:
        error = driver_error(raised)
        if lost(connection) or _severity(error) in ENDS_SESSION:
            raise
        quoted = QUOTED.search(str(error))
        words = quoted[1] if quoted else str(error)
        words = brief(redact(words).strip().partition("\n")[0], 500)
        if isinstance(error, psycopg.Error) and error.diag.source_function == POLICY:
            words = f"{words}: {NO_POLICY}"
        raise ReadRefusedError("" if quoted else sqlstate(error), words) from error


@contextmanager
def reading_of(relation: Relation) -> Iterator[None]:
    """Name what is read in the ReadRefusedError of the block, of which no row is the cause.

    NotPermittedError where this role may not read it.
    """
    try:
        yield
    except ReadRefusedError as error:
        if error.denied:
            where = SQL(".").join(map(Identifier, (relation.schema, relation.name))).as_string()
            schema, groups = Identifier(relation.schema).as_string(), "outbox_operator, outbox_viewer"
            hint = f"GRANT USAGE ON SCHEMA {schema} TO {groups}; GRANT SELECT ON {where} TO {groups}"
            raise NotPermittedError(f"{relation} cannot be read: {error.words}", hint=hint) from error
        hint = "look at it: `outboxctl projection plan FILE` says how it differs from what FILE declares"
        raise InconclusiveError(f"{relation} cannot be read: {error.words}", hint=hint) from error


def by_halves(
    waiting: list[Sequence[Key]], read: Callable[[Sequence[Key]], Found]
) -> Iterator[tuple[Sequence[Key], Found | ReadRefusedError]]:
    """The keys that are `waiting`, in parts with what `read` returns for them; an error has one key.

    The last of `waiting` is read first, what the caller adds meanwhile before all others. `read` is called
    without a key where it was refused: raises ReadRefusedError where even that is, since no key is at fault
    then.
    """
    probed = False
    while waiting:
        keys = waiting.pop()
        try:
            found = read(keys)
        except ReadRefusedError as error:
            if error.of_any_row:
                raise
            alone = len(keys) == 1
            if not error.late and (alone or not probed):
                probed = True
                read([])
            if alone:
                yield keys, error
            else:
                middle = len(keys) // 2
                waiting += [keys[middle:], keys[:middle]]
        else:
            yield keys, found


def refused(error: OutboxctlError) -> bool:
    """Whether it is the server's answer to a statement, of Database.begin, and does not pass by itself.

    Then the transaction was rolled back, and the session goes on.
    """
    cause = error.__cause__
    if not isinstance(cause, psycopg.Error):
        return False
    return sqlstate(cause) not in PASSING and _severity(cause) == "ERROR"


def _severity(error: Exception) -> str:
    diag = getattr(error, "diag", None)
    return (diag and (diag.severity_nonlocalized or diag.severity)) or ""
