"""`check` for monitoring: one line a finding with the command that helps, exit 0, 4 or 3."""

import re
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import CliRunner, Result

from acceptance import lab
from outboxctl.cli.app import app
from processes import Cli
from scene import Scene

# The format of Nagios' plugin guidelines: text, a bar, then name=value[unit];warning;critical;least.
PERFORMANCE = re.compile(r"([a-z_]+)=(?:(U|-?[\d.]+)(s?));;([\d.]*);0")
Check = Callable[..., Result]
ALIVE = -600  # seconds since its heartbeat: alive for as long as a test may take
HEARTBEAT = """
INSERT INTO outbox_workers VALUES (gen_random_uuid(), 'w', 'h', 7, '1', now(), now() - %s * interval '1 s',
    3, 'hold', false, 1, 1)
"""


def figures(out: str) -> dict[str, str]:
    first = out.splitlines()[0]
    text, bar, performance = first.partition(" | ")
    assert text.startswith("OUTBOX ")
    assert bar
    assert all(PERFORMANCE.fullmatch(each) for each in performance.split())
    return {match[1]: match[2] for match in PERFORMANCE.finditer(performance)}


@pytest.fixture
def check(env: dict[str, str]) -> Check:
    """The command within this process: it is run often here."""
    return lambda *flags: CliRunner().invoke(app, ["check", *flags], env=env)


def test_all_is_well(cli: Cli, sql: psycopg.Connection) -> None:
    sql.execute(HEARTBEAT, [ALIVE])
    lab.put(sql)
    lines = cli.ok("check", "--max-lag", "1").splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("OUTBOX OK - lag 1, oldest ")
    seen = figures(lines[0])
    assert (seen["lag"], seen["failed"], seen["unattended"]) == ("1", "0", "0")
    report = cli.json("check")
    assert (report["ok"], report["state"], report["findings"]) == (True, "OK", [])
    limits = {each["name"]: each["limit"] for each in report["figures"]}
    assert limits["oldest"] == 300


def fail_old(sql: lab.Sql) -> None:
    lab.event(sql, lab.put(sql)[0], status="failed")
    sql.execute("DELETE FROM search_outbox_events WHERE status = 'pending'")
    sql.execute("UPDATE search_outbox_events SET updated_at = now() - interval '1 hour'")


def fail_now(sql: lab.Sql) -> None:
    fail_old(sql)
    sql.execute("UPDATE search_outbox_events SET updated_at = now()")


def wait_long(sql: lab.Sql) -> None:
    sql.execute(HEARTBEAT, [ALIVE])
    lab.event(sql, lab.put(sql)[0], created="2026-01-01")


def get_stuck(sql: lab.Sql) -> None:
    lab.event(sql, lab.put(sql)[0], status="processing")
    sql.execute("DELETE FROM search_outbox_events WHERE status = 'pending'")


def attended(sql: lab.Sql) -> None:
    sql.execute(HEARTBEAT, [ALIVE])
    lab.load(sql, 3)


def unattended(sql: lab.Sql) -> None:
    sql.execute(HEARTBEAT, [100])
    lab.load(sql, 3)


def stalled(sql: lab.Sql) -> None:
    """An event waits for its next attempt, and the worker has delivered none for 100 s."""
    sql.execute(HEARTBEAT, [ALIVE])
    sql.execute("UPDATE outbox_workers SET progress_at = now() - interval '100 s'")
    lab.load(sql, 1)
    sql.execute(
        "UPDATE search_outbox_events SET attempts = 3, error_reason = 'connect',"
        " next_retry_at = now() + interval '20 s'"
    )


def cut_off(sql: lab.Sql) -> None:
    """A worker has found the engine away for 11 s: it says so every 3 s, so within 14 s of the outage."""
    sql.execute(HEARTBEAT, [ALIVE])
    away = '[{"projection": null, "reason": "connect", "seconds": 11}]'
    sql.execute("UPDATE outbox_workers SET outages = %s", [away])
    lab.load(sql, 1)


def cut_off_alone(sql: lab.Sql) -> None:
    cut_off(sql)
    sql.execute(HEARTBEAT, [ALIVE])
    sql.execute("UPDATE outbox_workers SET progress_at = now() - interval '5 s' WHERE outages IS NULL")


def refused(sql: lab.Sql) -> None:
    """Others are delivered, and events of one shard are tried again and again."""
    sql.execute(HEARTBEAT, [ALIVE])
    sql.execute("UPDATE outbox_workers SET progress_at = now()")
    lab.load(sql, 2)
    sql.execute(
        "UPDATE search_outbox_events SET error_reason = 'unavailable', created_at = now() - interval '50 s',"
        " next_retry_at = now() + interval '5 s'"
    )


def being_tried(sql: lab.Sql) -> None:
    """Just now it is under way: a request to a shard that hangs takes long."""
    refused(sql)
    sql.execute("UPDATE search_outbox_events SET status = 'processing', lease_until = now() + interval '9 s'")
    sql.execute("UPDATE search_outbox_events SET processing_started_at = now()")


def replayed(sql: lab.Sql) -> None:
    """An event of yesterday, replayed just now, whose first try was refused."""
    refused(sql)
    sql.execute("UPDATE search_outbox_events SET last_replayed_at = now() - interval '5 s', replay_count = 1")


def taken_back(sql: lab.Sql) -> None:
    """Its worker died; it was never refused."""
    refused(sql)
    sql.execute("UPDATE search_outbox_events SET error_reason = 'lease_expired'")


def put_off(sql: lab.Sql) -> None:
    """Nobody has tried this event: somebody wrote that it is for tomorrow."""
    stalled(sql)
    sql.execute("UPDATE search_outbox_events SET attempts = 0, next_retry_at = now() + interval '1 day'")


def one_delivers(sql: lab.Sql) -> None:
    stalled(sql)
    sql.execute(HEARTBEAT, [ALIVE])
    sql.execute("UPDATE outbox_workers SET progress_at = now() - interval '5 s' WHERE progress_at IS NULL")


def older_release(sql: lab.Sql) -> None:
    """Its heartbeat says nothing of its successes."""
    stalled(sql)
    sql.execute(HEARTBEAT, [ALIVE])


def silent(sql: lab.Sql) -> None:
    sql.execute(HEARTBEAT, [100])


CASES = [
    (wait_long, [], "oldest", "outboxctl oldest"),
    (get_stuck, [], "stuck", "outboxctl stuck"),
    (fail_old, ["--max-failed", "0"], "failed", "outboxctl failed list"),
    (fail_now, [], "failed_growth", "outboxctl failed list"),
    (stalled, [], "no_success", "outboxctl doctor"),
    (cut_off, [], "away", "outboxctl doctor"),
    (refused, [], "in_vain", "outboxctl doctor"),
    (being_tried, [], "in_vain", "outboxctl doctor"),
    (attended, ["--max-lag", "2"], "lag", "outboxctl status"),
    (unattended, [], "unattended", "outboxctl worker"),
]
WELL = [
    (wait_long, ["--max-oldest-age", "3e8"]),
    (get_stuck, ["--max-stuck", "1"]),
    (fail_old, []),
    (stalled, ["--max-no-success", "200"]),
    (refused, ["--max-no-success", "60"]),
    (cut_off, ["--max-away", "12"]),
    (cut_off_alone, []),
    (replayed, []),
    (taken_back, []),
    (put_off, []),
    (one_delivers, []),
    (older_release, []),
    (fail_now, ["--max-failed", "1", "--max-failed-growth", "1", "--window", "60"]),
    (attended, ["--max-lag", "3"]),
    (silent, []),
]


@pytest.mark.parametrize(("disturb", "flags", "name", "command"), CASES)
def test_a_finding_says_what_and_how_much_and_what_to_run(
    check: Check, sql: lab.Sql, disturb: Callable[[lab.Sql], None], flags: list[str], name: str, command: str
) -> None:
    disturb(sql)
    done = check(*flags)
    assert done.exit_code == 4, done.output
    first, *findings = done.stdout.splitlines()
    assert first.startswith(f"OUTBOX CRITICAL - {name} ")
    assert figures(first)
    assert len(findings) == 1
    assert findings[0].startswith(f"{name}: ")
    assert "(limit " in findings[0]
    assert findings[0].endswith(f"run: {command}")


@pytest.mark.parametrize(("disturb", "flags"), WELL)
def test_a_figure_at_its_limit_is_well(
    check: Check, sql: lab.Sql, disturb: Callable[[lab.Sql], None], flags: list[str]
) -> None:
    disturb(sql)
    done = check(*flags)
    assert (done.exit_code, done.stdout[:10]) == (0, "OUTBOX OK ")


def test_what_is_tried_in_vain_is_named_with_its_reason(check: Check, sql: lab.Sql) -> None:
    refused(sql)
    _, finding = check().stdout.splitlines()
    assert re.search(r"an event that was made 5\d\.\d s ago is tried in vain \(unavailable\)", finding)


def test_old_failures_are_a_note_and_no_finding(check: Check, cli: Cli, sql: lab.Sql) -> None:
    fail_old(sql)
    done = check()
    assert done.exit_code == 0
    first, note = done.stdout.splitlines()
    assert first.startswith("OUTBOX OK - ")
    assert note == "note: failed: 1 events failed for good (limit none); run: outboxctl failed list"
    report = cli.json("check")
    assert (report["ok"], report["findings"], report["notes"]) == (True, [], [note])


def test_an_end_that_is_away_is_3_and_the_other_is_told_of(cli: Cli, sql: lab.Sql, scene: Scene) -> None:
    away = cli("check", env={"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x"})
    assert (away.returncode, away.stdout.count("\n")) == (3, 1)
    assert away.stdout.startswith("OUTBOX UNKNOWN - the database 127.0.0.1:1/x")
    assert "hunter2" not in away.stdout + away.stderr
    fail_now(sql)
    for env in ({"ELASTIC_URL": "http://127.0.0.1:1"}, {"ELASTIC_INDEX": f"{scene.index}-nope"}):
        done = cli("check", "--drift-sample", "5", env=env)
        assert done.returncode == 3, done.stdout
        first, finding = done.stdout.splitlines()
        assert first.startswith("OUTBOX UNKNOWN - ")
        assert finding.startswith("failed_growth: 1 events")
        assert cli("check", env=env).returncode == 4, "nobody asked the sink"
