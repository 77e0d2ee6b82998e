"""Read-only mode and the question in prod: no command that changes something is without them."""

import os
import pty
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
import typer

from acceptance import lab
from operations.every_command import ACT, BREAKING, CHANGING, leaves
from outboxctl.cli.app import app
from outboxctl.domain.errors import UsageError
from outboxctl.drills import services
from processes import OUTBOXCTL, Cli

UNASKED = {"worker"}  # its home is prod
# They ask once there is something to do: test_rebuild_ways_back.py.
AFTER_A_REBUILD = {"index abort", "index cleanup", "index rollback"}
# Makes standard input the controlling terminal, so that ^C there is a signal.
OWN_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


COMMANDS = dict(leaves())
GUARDED = sorted(set(COMMANDS) & set(CHANGING))


@pytest.fixture
def prod(sql: psycopg.Connection) -> psycopg.Connection:
    """A database marked prod, with an event of each status."""
    sql.execute("INSERT INTO outbox_environment (environment) VALUES ('prod')")
    sql.execute(
        "INSERT INTO search_outbox_events"
        " (id, entity_type, entity_id, op, event_version, status, processed_at)"
        " SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, s, '2020-01-01'"
        " FROM unnest(ARRAY['pending', 'processing', 'done', 'failed']) s"
    )
    sql.execute(
        "INSERT INTO outbox_operator_audit"
        " (act_id, action, operator, reason, filters, affected, event_ids, before_attempts)"
        " VALUES (%s, 'replay', 'bob', 'x', '{}', 1, ARRAY[gen_random_uuid()], ARRAY[1])",
        [ACT],
    )
    return sql


@pytest.mark.no_servers
def test_what_changes_something_can_be_told_yes() -> None:
    for path in GUARDED:
        asks = any("--yes" in parameter.opts for parameter in COMMANDS[path].params)
        assert asks or path in UNASKED, f"{path} has no --yes"


@pytest.mark.parametrize("path", GUARDED)
def test_read_only_mode_refuses(path: str, cli: Cli, prod: psycopg.Connection) -> None:
    before = lab.state(prod)
    done = cli(*path.split(), *CHANGING[path], env={"OUTBOX_READ_ONLY": "1"})
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "OUTBOX_READ_ONLY is set: refusing to" in done.stderr
    assert lab.state(prod) == before


@pytest.mark.parametrize("path", sorted(set(GUARDED) - UNASKED - AFTER_A_REBUILD))
def test_prod_is_not_changed_unasked(path: str, cli: Cli, prod: psycopg.Connection) -> None:
    before = lab.state(prod)
    done = cli(*path.split(), *CHANGING[path])
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "is prod: refusing to" in done.stderr
    assert "--yes" in done.stderr
    assert lab.state(prod) == before


@pytest.mark.no_servers
@pytest.mark.parametrize("path", sorted(BREAKING))
@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ({"OUTBOX_READ_ONLY": "1", "OUTBOX_ENV": "dev"}, "OUTBOX_READ_ONLY is set: refusing to"),
        ({"OUTBOX_ENV": "prod"}, "this is prod: refusing to"),
        ({}, "nothing says that this is not production: refusing to"),
    ],
)
def test_nothing_is_broken_where_it_matters(
    path: str, mode: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OUTBOX_ENV", "WORDLOOM_ENV", "OUTBOX_READ_ONLY", "DATABASE_URL", "ELASTIC_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"OUTBOXCTL_STATE": str(tmp_path)} | mode).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=why):
        typer.main.get_command(app)([*path.split(), "--yes-this-is-not-production"], standalone_mode=False)


@pytest.mark.usefixtures("prod")
def test_with_a_yes_prod_is_changed_and_a_worker_needs_none(cli: Cli) -> None:
    assert cli.json("prune", "--older-than", "1d", "--yes")["pruned"] == 1
    assert cli.json("inject", "event", "-y")["inserted"] == 1
    assert cli.json("inject", "load", "--count", "1", "--yes")["operations"] == 1
    cli.ok("db", "upgrade", "--yes")
    cli.ok("worker", "--drain", "--metrics-port", str(services.fresh_port()))
    assert cli.json("prune", "--older-than", "1d", "--dry-run")["matched"] == 0


@pytest.mark.parametrize(
    ("keys", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2), (b"what\nn\n", 2), (b"\x03", 2), (b"\x04", 2)]
)
def test_on_a_terminal_it_asks(keys: bytes, code: int, cli: Cli, prod: psycopg.Connection) -> None:
    before = lab.state(prod)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", OWN_TERMINAL, *OUTBOXCTL, "prune", "--older-than", "1d", "--json"]
    with (
        subprocess.Popen(
            command,
            env=cli.env,
            cwd=cli.cwd,
            stdin=theirs,
            stderr=theirs,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.kill)  # it waits for an answer where this fails
        os.close(theirs)
        shown = b""
        while b"Really prune" not in shown:
            shown += os.read(ours, 1_000)
        os.write(ours, keys)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            os.write(ours, keys)  # the line editor began after the prompt, and an end of file was lost
        out = process.stdout.read() if process.stdout else b""
        assert process.wait(10) == code, shown
    os.close(ours)
    assert b"prod. Really prune events done more than 1d ago?" in shown
    assert (b'"pruned": 1' in out) == (code == 0)
    assert (lab.state(prod) == before) == (code != 0)
