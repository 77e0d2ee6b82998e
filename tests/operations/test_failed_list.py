"""What failed, by cause: the one page to look at before a replay."""

from typing import Any

import psycopg

from acceptance import lab
from operations.failures import WHO, fail, fail_many
from outboxctl.core.database import Database
from outboxctl.core.operator.selection import Selection, failed_groups
from outboxctl.domain.fingerprints import fingerprint
from processes import Cli

HOSTILE = "[/nope] [red]\x1b]0;owned\x07 \u202e " + "\\x00" * 50


def _groups(db: Database, **selection: Any) -> Any:
    with db.begin() as connection:
        return failed_groups(connection, Selection(**selection))


def test_a_group_holds_what_failed_of_one_cause(db: Database, sql: psycopg.Connection) -> None:
    for day in (3, 2, 5):
        fail(sql, f"boom {day} on 'block:{day}'", updated_at=f"2026-02-0{day}Z", created_at="2020-01-01Z")
    fail(sql, "boom 9 on 'x'", entity_type="page", replay_count=2, last_replayed_at="2026-01-01Z")
    fail(sql, "boom 9 on 'x'", error_reason="bad_request")
    fail(sql, None, error_reason=None)
    fail(sql, status="done")
    first, second, third = _groups(db)
    assert (first.fingerprint, first.error_reason) == (fingerprint("mapping", "boom 1 on 'y'"), "mapping")
    assert (first.count, first.failed_again) == (4, 1)
    assert (first.first_failed_at.day, first.last_failed_at.day) == (2, 5)
    assert (first.folded, first.entity_types) == ("boom N on '*'", {"block": 3, "page": 1})
    assert {second.error_reason, third.error_reason} == {"bad_request", "none"}
    assert first.sample == "boom 5 on 'block:5'", "the newest"
    assert _groups(db, entity_type="nobody") == []


def test_the_page_names_the_causes_and_the_next_command(cli: Cli, sql: psycopg.Connection) -> None:
    fail_many(sql, 50, "connect")
    hostile = fail(sql, HOSTILE, entity_type="[bold]\x1b[1m", replay_count=1, last_replayed_at="2026-01-01Z")
    before = lab.state(sql)
    seen = cli.json("failed", "list")
    assert (seen["failed"], seen["causes"], [g["count"] for g in seen["groups"]]) == (51, 2, [50, 1])
    name = seen["groups"][0]["fingerprint"]
    shown = cli.ok("failed", "list", "--limit", "1")
    assert f"outboxctl replay --fingerprint {name} --by YOU --reason WHY --dry-run" in shown
    assert "and 1 more causes" in shown
    shown = cli.ok("failed", "list")
    assert "1 failed again after a replay: correct the row, the view or the mapping first" in shown
    group = cli.ok("failed", "list", "--fingerprint", seen["groups"][1]["fingerprint"])
    assert hostile in group
    assert not set("\x1b\x07\u202e") & set(shown + group)
    listed = cli.json("failed", "list", "--fingerprint", name, "--limit", "5")["events"]
    assert len(listed) == 5
    assert cli.json("failed", "list", "--fingerprint", "0123456789ab")["events"] == []
    assert lab.state(sql) == before


def test_what_all_events_of_a_cause_say_is_said_once(cli: Cli, sql: psycopg.Connection) -> None:
    ids = [fail(sql, "column v.id does not exist", attempts=1, replay_count=1) for _ in range(3)]
    fail(sql, "column v.id does not exist", created_at="2020-01-01Z")
    shown = cli.ok("failed", "list", "--fingerprint", fingerprint("mapping", "column v.id does not exist"))
    assert shown.count("column v.id does not exist") == 1
    assert shown.count("1 attempt, 1 replay;") == len(ids) == sum(id_ in shown for id_ in ids)
    rehearsed = cli.ok("replay", *WHO, "--dry-run")
    assert "─" not in rehearsed, "no table as wide as its longest error"


def test_a_replay_is_named_only_where_it_can_help(cli: Cli, sql: psycopg.Connection) -> None:
    """A bad op fails again however often it is replayed: the page led from one failure to the next."""
    refused = {"op": "nonsense", "error_reason": "deterministic_exception"}
    bad = [fail(sql, "ValueError: Unknown outbox op: 'nonsense'", **refused) for _ in range(2)]
    name = fingerprint("deterministic_exception", "ValueError: Unknown outbox op: 'x'")
    discard = f"Next: outboxctl failed discard --fingerprint {name} --by YOU --reason WHY --dry-run"
    shown = cli.ok("failed", "list")
    assert discard in shown
    assert "outboxctl replay" not in shown
    one = cli.ok("failed", "show", bad[0])
    assert f"Next: outboxctl failed discard --id {bad[0]} --by YOU" in one
    assert "outboxctl replay" not in one
    fail(sql, "503")
    shown = cli.ok("failed", "list")
    assert [line for line in shown.splitlines() if "outboxctl" in line] == [
        line for line in shown.splitlines() if line.startswith(("What it means: ", "Next: "))
    ]
    assert discard in shown
    assert f"Next: outboxctl replay --fingerprint {fingerprint('mapping', '503')} --by YOU" in shown
