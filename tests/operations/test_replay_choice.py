"""Replaying exactly what was meant, after a rehearsal that says what it would come to."""

from collections import Counter
from uuid import uuid4

import psycopg
import pytest

from operations.failures import WHO, everything, fail, states
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
    assert (set(done["ids"]), done["replayed"], states(sql)) == (wanted, 3, {"pending": 3, "failed": 2})
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


def test_an_id_that_is_named_twice_is_replayed_once(cli: Cli, sql: psycopg.Connection) -> None:
    first, second = fail(sql), fail(sql)
    done = cli.json("replay", *WHO, "--id", first, "--id", first.upper(), "--id", str(uuid4()))
    assert (done["replayed"], done["ids"], states(sql)) == (1, [first], {"pending": 1, "failed": 1})
    assert second


@pytest.mark.parametrize(
    "bad",
    [
        ("--id", "' OR 1=1 --\x1b[31m", "--id: not a UUID"),
        ("--error-reason", "maping", "did you mean mapping?"),
        ("--error-reason", "None", "did you mean none?"),
        ("--error-reason", "' OR 1=1 --", "unknown reason"),
        ("--fingerprint", "%", "not a fingerprint"),
        ("--fingerprint", "abc", "6 to 12 hex digits"),
        ("--entity-type", "a\x1b[31m", "control characters"),
        ("--since", "2026-02-03", "--until", "2026-02-03", "is not before"),
        ("--rate", "nan", "--rate"),
        ("--rate", "0", "--rate"),
        ("--limit", "99999999999999999999", "--limit"),
    ],
    ids=lambda bad: " ".join(bad[:2]).encode("unicode_escape").decode(),
)
def test_a_careless_selection_is_refused(cli: Cli, sql: psycopg.Connection, bad: tuple[str, ...]) -> None:
    fail(sql)
    before = everything(sql)
    refused = cli("replay", *WHO, *bad[:-1])
    assert (refused.returncode, refused.stdout) == (2, "")
    assert bad[-1] in refused.stderr
    assert everything(sql) == before


@pytest.mark.parametrize("text", ["' OR 1=1 --", "nobody"])
def test_a_selection_that_nothing_fits_says_so(cli: Cli, sql: psycopg.Connection, text: str) -> None:
    fail(sql)
    before = everything(sql)
    assert "0 failed events match" in cli.ok("replay", *WHO, "--entity-type", text)
    assert everything(sql) == before


def test_a_rehearsal_changes_no_bit(cli: Cli, sql: psycopg.Connection) -> None:
    again = fail(sql, replay_count=1, last_replayed_at="2026-01-01Z")
    fail(sql)
    fail(sql, op="nonsense")
    before = everything(sql)
    seen = cli.json("replay", *WHO, "--dry-run")
    shown = cli.ok("replay", *WHO, "--dry-run")
    assert everything(sql) == before
    assert (seen["matched"], seen["failed_again"], seen["dry_run"]) == (3, 1, True)
    assert "1 of them had been replayed before and failed again" in shown
    assert again in shown
