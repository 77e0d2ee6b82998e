"""A file of SQL for one transaction that is not its own: its statements, and what they may not be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from outboxctl.domain import keys_query
from outboxctl.operations.projection.place import Place, file_text

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
