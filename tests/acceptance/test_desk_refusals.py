"""Careless, hostile and forbidden commands: refused by name, and no bit of a table changed."""

import subprocess
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli

WHO = ("--by", "alice", "--reason", "why")
REPLAY = ("replay", *WHO)
DISCARD = ("failed", "discard", *WHO)
SQL = "' OR 1=1 --"
ESC = "\x1b[31m"

MALFORMED = [
    (*REPLAY, "--id", SQL),
    (*REPLAY, "--error-reason", SQL),
    (*REPLAY, "--fingerprint", SQL),
    (*REPLAY, "--entity-type", ESC),
    (*REPLAY, "--since", "2026-01-02", "--until", "2026-01-01"),
    DISCARD,
    ("failed", "undo", str(uuid.uuid4()), *WHO),
    ("failed", "show", SQL),
    ("failed", "list", "--fingerprint", SQL),
    ("prune", "--older-than", SQL),
    ("verify", "--by", "alice"),
    ("--elastic-index", SQL, "rebuild", "--yes"),
    ("doctor", "--only", SQL),
    ("inject", "event", "--entity-id", ""),
]


@pytest.fixture
def failed(sql: lab.Sql) -> list[uuid.UUID]:
    """Failed events, a pending one and an old done one."""
    lab.put(sql)
    old = lab.put(sql)[1]
    sql.execute(
        "UPDATE search_outbox_events SET status = 'done', processed_at = now() - interval '9 days' "
        "WHERE id = %s",
        [old],
    )
    events = [lab.event(sql, lab.put(sql)[0], status="failed") for _ in range(3)]
    sql.execute(
        "UPDATE search_outbox_events SET attempts = 1, error_reason = 'mapping', error = 'it broke' "
        "WHERE status = 'failed'"
    )
    return events


def _all(cli: Cli, commands: Sequence[tuple[str, ...]], **env: str) -> list[subprocess.CompletedProcess[str]]:
    """Every command at once: they change nothing, so none can disturb another."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda args: cli(*args, env=env), commands))


@pytest.mark.usefixtures("failed")
def test_malformed_input_is_refused_and_changes_nothing(cli: Cli, sql: lab.Sql) -> None:
    before = lab.state(sql)
    for args, done in zip(MALFORMED, _all(cli, MALFORMED), strict=True):
        assert (done.returncode, done.stdout) == (2, ""), (args, done)
        assert done.stderr.strip(), args
        assert "\x1b" not in done.stderr, args
    assert lab.state(sql) == before


CHANGING = [
    REPLAY,
    (*DISCARD, "--error-reason", "mapping"),
    ("prune", "--older-than", "7d"),
    ("verify", "--repair", *WHO),
    ("rebuild",),
]


@pytest.mark.usefixtures("failed")
def test_dry_runs_change_no_bit_and_are_not_refused_in_read_only_mode(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    before, indexes = lab.state(sql), set(engine.indices.get(index=f"{index}*"))
    rehearsals = [(*each, "--dry-run") for each in CHANGING]
    assert all(done.returncode in (0, 4) for done in _all(cli, rehearsals, OUTBOX_READ_ONLY="1"))
    assert lab.state(sql) == before
    assert set(engine.indices.get(index=f"{index}*")) == indexes
