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
    ("replay", "undo", str(uuid.uuid4()), *WHO),
    ("failed", "show", SQL),
    ("failed", "list", "--group", SQL),
    ("prune", "--older-than", SQL),
    ("verify", "--by", "alice"),
    ("rebuild", "--yes", "--elastic-index", SQL),
    ("rebuild", "--abort", "--rollback"),
    ("doctor", "--only", SQL),
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


@pytest.mark.usefixtures("failed")
def test_nothing_selected_is_a_clean_empty_result(cli: Cli, sql: lab.Sql) -> None:
    before = lab.state(sql)
    assert cli.json(*REPLAY, "--entity-type", SQL)["matched"] == 0
    assert cli.json(*DISCARD, "--entity-type", "%")["matched"] == 0
    assert cli.json(*REPLAY, "--ids-from", "-")["matched"] == 0
    assert cli.json("audit", "--by", "%")["audit"] == []
    assert lab.state(sql) == before


def test_ids_on_stdin_are_all_good_or_nothing_happens(
    cli: Cli, sql: lab.Sql, failed: list[uuid.UUID]
) -> None:
    before = lab.state(sql)
    two = "".join(f"{each}\n" for each in failed[:2])
    for bad in (SQL, "%", "not-an-id"):
        done = cli(*REPLAY, "--ids-from", "-", stdin=f"{two}{bad}\n")
        assert (done.returncode, "line 3" in done.stderr) == (2, True), done.stderr
    assert lab.state(sql) == before
    strangers = "".join(f"{uuid.uuid4()}\n" for _ in range(100_000))
    seen = cli.json(*REPLAY, "--ids-from", "-", stdin=strangers + two + two)
    assert (seen["matched"], set(seen["ids"])) == (2, {str(each) for each in failed[:2]})
    assert lab.event_row(sql, failed[2])["status"] == "failed"


CHANGING = [
    REPLAY,
    (*DISCARD, "--error-reason", "mapping"),
    ("prune", "--older-than", "7d"),
    ("verify", "--repair", *WHO),
    ("rebuild",),
]


@pytest.mark.usefixtures("failed")
def test_dry_runs_change_no_bit_and_a_guard_stops_everything_else(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    before, indexes = lab.state(sql), set(engine.indices.get(index=f"{index}*"))
    rehearsals = [(*each, "--dry-run") for each in CHANGING]
    assert all(done.returncode in (0, 4) for done in _all(cli, rehearsals, OUTBOX_READ_ONLY="1"))
    assert lab.state(sql) == before
    unasked = _all(cli, CHANGING, OUTBOX_ENV="prod")
    forced = _all(cli, [(*each, "--yes") for each in CHANGING], OUTBOX_READ_ONLY="1")
    assert [done.returncode for done in unasked + forced] == [2] * 2 * len(CHANGING)
    assert all("prod" in done.stderr for done in unasked)
    assert all("OUTBOX_READ_ONLY" in done.stderr for done in forced)
    assert lab.state(sql) == before
    assert set(engine.indices.get(index=f"{index}*")) == indexes
