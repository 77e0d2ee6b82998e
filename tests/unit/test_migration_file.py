"""A migration's file: what ends a statement, and what cannot run in a transaction that is not its own."""

from pathlib import Path

import pytest

from outboxctl.domain.errors import UsageError
from outboxctl.operations.projection.migrate import statements


def read(folder: Path, text: str | bytes) -> list[tuple[int, str]]:
    """Line and text of each statement."""
    file = folder / "change.sql"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(each.line, each.sql) for each in statements(file)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("-- a;\n;/* b; */\n", []),
        ("\ufeffSELECT 1;\n\n SELECT ';', E'\\';', $a$;$a$, \"x;\"", [1, 3]),
        ("CREATE RULE r AS ON INSERT TO t DO (DELETE FROM t; DELETE FROM t);\nSELECT 2", [1, 2]),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;\nEND;\nSELECT 2", [1]),
        (
            "DO $$ BEGIN COMMIT; END $$;\nSAVEPOINT a;ROLLBACK TO a; ROLLBACK WORK TO SAVEPOINT a",
            [1, 2, 2, 2],
        ),
    ],
    ids=range(6),
)
def test_statements_and_their_lines(tmp_path: Path, text: str, lines: list[int]) -> None:
    assert [line for line, _ in read(tmp_path, text)] == lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT 1;\n\\i other.sql\n", "change.sql:2: a command of psql"),
        ("SELECT 1\n\\gexec\n", "change.sql:2: a command of psql"),
        ("/* \\i */ SELECT '\\x', E'\\';';\nBEGIN;", "change.sql:2: it begins or ends a transaction"),
        ("SAVEPOINT a;\n\ncommit", "change.sql:3: it begins or ends"),
        ("ROLLBACK", "change.sql:1: it begins or ends"),
        ("prepare  transaction 'x'", "change.sql:1: it begins or ends"),
        ("COPY store.products FROM\nSTDIN;\n1", "change.sql:2: data for COPY"),
        (b"SELECT '\xff'", "is not UTF-8"),
        ("SELECT 1;\nSELECT '\0'", "change.sql:2: it holds a NUL"),
    ],
    ids=range(9),
)
def test_what_is_refused_with_its_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert words in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        statements(tmp_path / "no.sql")
