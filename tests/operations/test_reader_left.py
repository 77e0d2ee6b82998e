"""Whoever reads, and for how long: the verdict is the exit code."""

import os
from pathlib import Path

import psycopg

from acceptance import lab
from processes import Cli, start


def unread(cli: Cli, command: list[str], err: Path) -> int:
    """The exit code of a command whose reader has left before it says a word."""
    read, write = os.pipe()
    os.close(read)
    with err.open("w") as log, Path(os.devnull).open() as nothing:
        process = start(command, cli.env, cli.cwd, (nothing.fileno(), write, log.fileno()))
    os.close(write)
    return process.wait(60)


def test_a_reader_that_leaves_takes_no_finding_with_it(
    cli: Cli, sql: psycopg.Connection, tmp_path: Path
) -> None:
    lab.event(sql, lab.put(sql)[0], status="failed")
    sql.execute("DELETE FROM search_outbox_events WHERE status = 'pending'")
    sql.execute("CREATE INDEX odd ON search_outbox_events (updated_at)")
    away = ["--database-url", "postgresql://me@127.0.0.1:1/none", "check"]
    found = [["check"], ["check", "--json"], ["verify"], ["doctor"]]
    for command, code in [*((each, 4) for each in found), (away, 3)]:
        assert unread(cli, command, tmp_path / "err") == code, command
        assert "Traceback" not in (tmp_path / "err").read_text()
