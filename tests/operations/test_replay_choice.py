"""Replaying exactly what was meant, after a rehearsal that says what it would come to."""

import psycopg

from acceptance import lab
from operations.failures import WHO, fail
from outboxctl.domain.fingerprints import fingerprint
from processes import Cli

QUOTED = "failed to parse field [rank_score] of id 'block:{}'"


def test_a_fingerprint_replays_exactly_one_cause(cli: Cli, sql: psycopg.Connection) -> None:
    wanted = {fail(sql, QUOTED.format(n)) for n in range(3)}
    fail(sql, QUOTED.format(1), error_reason="bad_request")
    fail(sql, "another cause")
    name = fingerprint("mapping", QUOTED.format("any"))
    seen = cli.json("replay", *WHO, "--fingerprint", name.upper(), "--limit", "2", "--dry-run")
    assert (seen["matched"], seen["selected"], [c["fingerprint"] for c in seen["causes"]]) == (3, 2, [name])
    done = cli.json("replay", *WHO, "--fingerprint", name)
    assert (set(done["ids"]), done["replayed"], lab.by_status(sql)) == (
        wanted,
        3,
        {"pending": 3, "failed": 2},
    )
    nothing = cli.json("replay", *WHO, "--fingerprint", "0123456789ab")
    assert (nothing["matched"], nothing["ids"], nothing["audit_id"]) == (0, [], None)


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
