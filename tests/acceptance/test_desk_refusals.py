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

# A command, and what it is told; "" where the command says what it likes.
MALFORMED: list[tuple[tuple[str, ...], str]] = [
    (("replay", "--reason", "why"), "--by"),
    (("replay", "--by", "alice"), "--reason"),
    (("replay", "--by", "  ", "--reason", "why"), "--by is blank"),
    (("replay", "--by", "alice", "--reason", ""), "--reason is blank"),
    (("replay", "--by", "al\nice", "--reason", "why"), "--by"),
    (("replay", "--by", "alice", "--reason", f"why{ESC}"), "--reason"),
    (("replay", "--by", "a" * 121, "--reason", "why"), "--by"),
    ((*REPLAY, "--id", f"{SQL}{ESC}"), "--id: not a UUID"),
    ((*REPLAY, "--error-reason", "None"), "did you mean none?"),
    ((*REPLAY, "--error-reason", SQL), "unknown reason"),
    ((*REPLAY, "--fingerprint", SQL), "not a fingerprint"),
    ((*REPLAY, "--fingerprint", "abc"), "12 hex digits"),
    ((*REPLAY, "--entity-type", ESC), "control characters"),
    ((*REPLAY, "--since", "yesterday-ish"), "--since"),
    ((*REPLAY, "--since", "2026-02-03", "--until", "2026-02-03"), "is not before"),
    ((*REPLAY, "--rate", "nan"), "--rate"),
    ((*REPLAY, "--rate", "0"), "--rate"),
    ((*REPLAY, "--limit", "0"), "--limit"),
    ((*REPLAY, "--limit", "99999999999999999999"), "--limit"),
    (DISCARD, ""),
    (("failed", "undo", str(uuid.uuid4()), *WHO), "there is no act"),
    (("failed", "undo", SQL, *WHO), "not a UUID"),
    (("failed", "show", str(uuid.uuid4())), "there is no event"),
    (("failed", "show", f"{SQL}{ESC}"), "not a UUID"),
    (("failed", "list", "--fingerprint", SQL), "not a fingerprint"),
    (("audit", "--id", "x"), ""),
    (("audit", "--id", "1" * 32), ""),
    (("audit", "--since", "soon"), "--since"),
    (("audit", "--by", ESC), "--by"),
    (("audit", "--action", ""), ""),
    (("audit", "--action", "replya"), "did you mean replay?"),
    # It was ignored: the act that was shown might be anybody's.
    (("audit", "--id", str(uuid.uuid4()), "--action", "replay"), "--action does not go with it"),
    (("audit", "--id", str(uuid.uuid4()), "--by", "alice"), "--by does not go with it"),
    (("audit", "--id", str(uuid.uuid4()), "--since", "2026-02-03"), "--since does not go with it"),
    (("db", "mark", "staging", *WHO), "unknown environment 'staging'"),
    (("db", "mark", ESC, *WHO), "unknown environment"),
    (("db", "mark", "test", "--by", " ", "--reason", "x"), "--by is blank"),
    (("db", "mark", "test", "--by", "alice", "--reason", ESC), "--reason"),
    (("db", "mark", "test", "--by", "alice"), "--reason"),
    (("prune",), "--older-than"),
    (("prune", "--older-than", "0d"), "--older-than"),
    (("prune", "--older-than", "-1d"), "--older-than"),
    (("prune", "--older-than", SQL), "--older-than"),
    (("prune", "--older-than", "7d", "--rate", "0"), "--rate"),
    (("prune", "--older-than", "7d", "--rate", "nan"), "--rate"),
    (("prune", "--older-than", "7d", "--by", ESC), "--by"),
    (("prune", "--older-than", "7d", "--reason", " "), "--reason"),
    (("verify", "--repair", "--by", " ", "--reason", "why"), "--by"),
    (("verify", "--repair", "--by", "al\nice", "--reason", "why"), "--by"),
    (("verify", "--by", "alice"), "--by"),
    (("verify", "--dry-run"), "--dry-run"),
    (("verify", "--keep-foreign"), "--keep-foreign"),
    (("verify", "--limit", "-1"), "--limit"),
    (("--elastic-index", SQL, "rebuild", "--yes"), "--elastic-index"),
    (("rebuild", "--yes", "--mapping", "missing.json"), "--mapping"),
    (("rebuild", "--yes", "--keep-old", "soon"), "--keep-old"),
    (("rebuild", "--yes", "--by", " "), "--by"),
    (("rebuild", "--yes", "--reason", ""), "--reason"),
    (("rebuild", "--yes", "--by", "al\nice"), "--by"),
    (("check", "--max-oldest-age", "nan"), "--max-oldest-age"),
    (("check", "--max-oldest-age", "-1"), "--max-oldest-age"),
    (("check", "--max-no-success", "inf"), "--max-no-success"),
    (("check", "--max-no-success", "9"), "--max-no-success"),
    (("check", "--max-no-success", "nan"), "--max-no-success"),
    (("check", "--window", "0"), "--window"),
    (("check", "--max-lag", "-1"), "--max-lag"),
    (("check", "--max-failed", "few"), "--max-failed"),
    (("check", "--drift-sample", "1e9"), "--drift-sample"),
    (("doctor", "--only", "sinks"), "did you mean sink?"),
    (("doctor", "--ignore", "index-mising"), "did you mean index-missing?"),
    (("doctor", "--ignore", f"{SQL}{ESC}"), r"\x1b"),
    (("alerts", "--runbook", "ftp://x"), "--runbook"),
    (("alerts", "--runbook", "http://a b"), "--runbook"),
    (("alerts", "--job", " "), "--job"),
    (("inject", "event", "--entity-id", ""), ""),
    (("oldest", "--limit", "0"), "--limit"),
    (("status", "--watch", "nan"), "--watch"),
    (("status", "--watch", "1", "--json"), "--json goes with one look"),
    *((("inject", "load", *bad), bad[0]) for bad in (("--count", "0"), ("--rate", "nan"))),
    *((("inject", "load", *bad), bad[0]) for bad in (("--scenario", "nonsense"), ("--concurrency", "-1"))),
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
    for (args, told), done in zip(MALFORMED, _all(cli, [args for args, _ in MALFORMED]), strict=True):
        assert (done.returncode, done.stdout) == (2, ""), (args, done)
        assert done.stderr.strip(), args
        assert told in done.stderr, (args, done.stderr)
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
