"""A migration of the application: its SQL in one transaction, in which the views of projections are aside."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from outboxctl.core.database import Database, driver
from outboxctl.core.database_errors import FAILED, driver_error, sqlstate
from outboxctl.core.operator import audit
from outboxctl.core.projections import catalog, changes, in_force
from outboxctl.core.projections.trigger_names import tables_of
from outboxctl.core.refused_reads import PASSING
from outboxctl.core.schema.lock_wait import with_lock_retries
from outboxctl.core.search_path import places, set_search_path
from outboxctl.core.sql import Connection
from outboxctl.core.sql.transaction import lost
from outboxctl.domain import keys_query
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Relation
from outboxctl.domain.redaction import redact
from outboxctl.operations.projection import followed
from outboxctl.operations.projection.place import Place, file_text

NOT_ANEW = (
    "nothing was changed; have the file make this view anew as well, with a query that fits"
    " (`outboxctl projection sql FILE` prints such SQL); or rename by psql, without views put aside"
)
# All views that projections read by the tables are put aside while the file runs.
VIEW = re.compile(r"\bview (.+?) depends on ")
NOT_READ = (
    "nothing was changed; no projection reads {} by these tables: drop it and make it again in the file"
)
EMPTY = "the file has no statement, so nothing was changed"
# As in the login's own sessions; a role that the file has set is not the one that makes views again.
AS_LOGIN, AS_BEFORE = "SET LOCAL search_path TO DEFAULT", "RESET ROLE; {path}"
ESCAPES = r"[eE]'(?:[^'\\]|\\.|'')*'"
SKIPPED = re.compile("|".join((ESCAPES, *keys_query.SKIPPED)), re.DOTALL | re.ASCII)
# A body in standard SQL has semicolons of its own.
ATOMIC = re.compile(r"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)
BREAK = re.compile(r"[();]")
REFUSED = (
    (r".*\\", "a command of psql", "write plain SQL: what \\i reads, in the file itself"),
    (r"COPY\b.*\bFROM\s+STDIN\b", "data for COPY", "load data by psql, before or after"),
    (
        r"(BEGIN|START\s+TRANSACTION|COMMIT|END|ABORT|PREPARE\s+TRANSACTION"
        r"|ROLLBACK(?!\s+((WORK|TRANSACTION)\s+)?TO\b))\b",
        "it begins or ends a transaction",
        "leave it out: the whole file is one transaction",
    ),
)


@dataclass(frozen=True)
class Statement:
    """A statement, and the line of the file on which it begins."""

    file: str
    line: int
    sql: str

    def place(self, position: int = 1) -> Place:
        """The place of a character of it, counted from 1."""
        return Place(f"{self.file}:{self.line + self.sql.count(chr(10), 0, position - 1)}")


def statements(path: Path) -> list[Statement]:
    """The statements of a file. Raises UsageError, with the line, for what cannot run in our transaction."""
    sql = file_text(Place(str(path)), path)
    bare = SKIPPED.sub(_blank, sql)
    if "\0" in sql:
        Statement(str(path), 1, sql).place(sql.index("\0") + 1).fail("it holds a NUL")
    found = []
    for begin, end in _spans(bare):
        start = end - len(bare[begin:end].lstrip())
        if start < end:
            found.append(Statement(str(path), sql.count("\n", 0, start) + 1, sql[start:end]))
            _check(found[-1], bare[start:end])
    return found


def _check(statement: Statement, bare: str) -> None:
    for pattern, what, hint in REFUSED:
        if found := re.match(pattern, bare, re.IGNORECASE | re.DOTALL):
            statement.place(found.end()).fail(what, hint)


def _spans(bare: str) -> Iterator[tuple[int, int]]:
    """The start and end of each statement: a semicolon within parentheses (of a rule) ends none."""
    start = depth = 0
    for found in BREAK.finditer("" if ATOMIC.search(bare) else bare):
        depth += {"(": 1, ")": -1, ";": 0}[found[0]]
        if found[0] == ";" and depth <= 0:
            yield start, found.start()
            start, depth = found.end(), 0
    yield start, len(bare)


def _blank(found: re.Match[str]) -> str:
    """Of a comment nothing, of a quoted text that it is there; as long, with its line ends."""
    return re.sub(r"[^\n]", " " if found[0].startswith(("--", "/*")) else "x", found[0])


@dataclass(frozen=True)
class Migrated:
    """The views that were put aside and made again, and what the change means for projections."""

    views: Sequence[str]
    said: Sequence[str]
    audit_id: str


def migrate(
    database: Database,
    statements: Sequence[Statement],
    *,
    tables: Sequence[str] = (),
    by: str,
    reason: str,
    patience: float = 60.0,
    report: Callable[[str], None] = lambda _: None,
) -> Migrated:
    """Run these statements, and make the views again, in one transaction; audited.

    `tables` are those that they change; by default all that projections in force name. Raises UsageError with
    the line, and LockedError where a table stays locked, with nothing changed.
    """

    def run(connection: Connection) -> Migrated:
        with _named(connection):
            views = changes.suspend(connection, _tables(connection, tables))
            driver(connection).execute(AS_LOGIN)
        for each in statements:
            with _named(connection, each):
                driver(connection).execute(each.sql.encode())
        with _named(connection, hint=NOT_ANEW):
            path = set_search_path(places(connection).searched)
            driver(connection).execute(AS_BEFORE.format(path=path).encode())
            said = [*changes.resume(connection), *([] if statements else [EMPTY])]
        digest = hashlib.sha256("\n".join(each.sql for each in statements).encode()).hexdigest()
        file = brief(statements[0].file, 200) if statements else ""
        filters = {"file": file, "sha256": digest, "views": views}
        act = audit.record(connection, "projection migrate", by=by, reason=reason, filters=filters, ids=[])
        return Migrated(views, said, act)

    return with_lock_retries(database, run, patience=patience, report=report)


def _tables(connection: Connection, names: Sequence[str]) -> list[Relation]:
    given = [followed.relation(connection, Place("--table"), name, tuple(catalog.Kind)) for name in names]
    declared = in_force.read(connection)
    known = {table for each in declared for table in (*tables_of(each), *each.ignore)}
    return given or [each for each in sorted(known, key=str) if catalog.kind(connection, each)]


@contextmanager
def _named(connection: Connection, statement: Statement | None = None, *, hint: str = "") -> Iterator[None]:
    """Raise UsageError with PostgreSQL's words and the line of the file, for what does not pass by itself.

    `hint` stands for PostgreSQL's.
    """
    try:
        yield
    except FAILED as raised:
        error = driver_error(raised)
        if not isinstance(error, psycopg.Error) or sqlstate(error) in PASSING or lost(connection):
            raise
        diag = error.diag
        words = [brief(redact(each), 500) for each in (diag.message_primary, diag.message_detail) if each]
        text = ". ".join(words)
        if statement and (found := VIEW.search(diag.message_detail or "")):
            hint = NOT_READ.format(brief(found[1], 140))
        hint = hint or brief(redact(diag.message_hint or "nothing was changed"), 500)
        if statement is None:
            raise UsageError(text, hint=hint) from error
        statement.place(int(diag.statement_position or 1)).fail(text, hint)
