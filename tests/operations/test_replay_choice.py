"""Replaying exactly what was meant, after a rehearsal that says what it would come to."""

from collections import Counter

import psycopg
import pytest

from acceptance import lab
from operations.failures import WHO, fail
from outboxctl.core.database import Database
from outboxctl.core.operator.failed import failed_rows
from outboxctl.core.operator.selection import Selection, plan
from outboxctl.domain.errors import UsageError
from outboxctl.domain.fingerprints import fingerprint
from processes import Cli

QUOTED = "failed to parse field [rank_score] of id 'block:{}'"


def test_a_fingerprint_replays_exactly_one_cause(cli: Cli, sql: psycopg.Connection) -> None:
    wanted = {fail(sql, QUOTED.format(n)) for n in range(3)}
    fail(sql, QUOTED.format(1), error_reason="bad_request")
    fail(sql, "another cause")
    name = fingerprint("mapping", QUOTED.format("any"))
    seen = cli.json("replay", *WHO, "--fingerprint", name[:6].upper(), "--limit", "2", "--dry-run")
    assert (seen["matched"], seen["selected"], [c["fingerprint"] for c in seen["causes"]]) == (3, 2, [name])
    done = cli.json("replay", *WHO, "--fingerprint", name)
    assert (set(done["ids"]), done["replayed"], lab.by_status(sql)) == (
        wanted,
        3,
        {"pending": 3, "failed": 2},
    )
    nothing = cli.json("replay", *WHO, "--fingerprint", "0123456789ab")
    assert (nothing["matched"], nothing["ids"], nothing["audit_id"]) == (0, [], None)


def test_the_beginning_of_two_fingerprints_names_neither(db: Database, sql: psycopg.Connection) -> None:
    """Six digits of two causes are rarely the same: one digit makes the same point here."""
    for letter in "abcdefghijklmnopq":
        fail(sql, f"cause {letter * 3}")
    names = [fingerprint("mapping", f"cause {letter * 3}") for letter in "abcdefghijklmnopq"]
    digit = Counter(name[0] for name in names).most_common(1)[0][0]
    with db.begin() as connection, pytest.raises(UsageError, match=f"{digit} is the beginning of "):
        plan(connection, Selection(fingerprint=digit))
    with db.begin() as connection, pytest.raises(UsageError, match=f"{digit} is the beginning of "):
        failed_rows(connection, Selection(fingerprint=digit, limit=1))
    (whole, *_) = (name for name in names if name[0] == digit)
    with db.begin() as connection:
        assert len(failed_rows(connection, Selection(fingerprint=whole, limit=9))) == 1
        chosen = plan(connection, Selection(fingerprint=whole, limit=9))
    assert (chosen.matched, len(chosen.ids)) == (1, 1)


def test_a_rehearsal_changes_no_bit(cli: Cli, sql: psycopg.Connection) -> None:
    again = fail(sql, replay_count=1, last_replayed_at="2026-01-01Z")
    fail(sql)
    fail(sql, op="nonsense")
    before = lab.state(sql)
    seen = cli.json("replay", *WHO, "--dry-run")
    shown = cli.ok("replay", *WHO, "--dry-run")
    assert lab.state(sql) == before
    assert (seen["matched"], seen["failed_again"], seen["dry_run"]) == (3, 1, True)
    assert "1 of them had been replayed before and failed again" in shown
    assert again in shown
