"""A replay of the wrong events can be taken back, as far as no worker was quicker."""

import psycopg

from acceptance import lab
from operations.failures import WHO, fail
from processes import Cli

SAID = "SELECT status, attempts, error_reason, error, replay_count FROM search_outbox_events WHERE id = %s"
CLAIM = (
    "UPDATE search_outbox_events SET status = 'processing', owner = 'w', lease_token = gen_random_uuid(),"
    " lease_until = now() + interval '1 hour', processing_started_at = now(), attempts = 1 WHERE id = %s"
)


def test_what_waits_is_failed_again_as_it_was_and_the_rest_stays(cli: Cli, sql: psycopg.Connection) -> None:
    waiting, held, delivered, failing, pruned = (
        fail(sql, f"boom {n}", attempts=n + 1, replay_count=n) for n in range(5)
    )
    act = cli.json("replay", *WHO)["audit_id"]
    sql.execute(CLAIM, [held])
    sql.execute(
        "UPDATE search_outbox_events SET status = 'done', processed_at = now() WHERE id = %s", [delivered]
    )
    sql.execute("UPDATE search_outbox_events SET status = 'failed' WHERE id = %s", [failing])
    sql.execute("DELETE FROM search_outbox_events WHERE id = %s", [pruned])
    done = cli.json("failed", "undo", act, "--by", "bob", "--reason", "wrong ones")
    assert (done["matched"], done["undone"], done["ids"]) == (5, 1, [waiting])
    assert done["now"] == {"undone": 1, "processing": 1, "done": 1, "failed again": 1, "gone": 1}
    assert sql.execute(SAID, [waiting]).fetchone() == ("failed", 1, "mapping", "boom 0", 0)
    assert sql.execute(SAID, [held]).fetchone() == ("processing", 1, None, None, 2)
    newest = cli.json("audit")["audit"][0]
    assert (newest["action"], newest["operator"], newest["id"]) == ("undo", "bob", done["audit_id"])
    assert newest["filters"] == {"audit_id": act}
    assert [event["id"] for event in cli.json("audit", "--id", newest["id"])["events"]] == [waiting]


def test_undone_twice_there_is_nothing_left(cli: Cli, sql: psycopg.Connection) -> None:
    fail(sql)
    act = cli.json("replay", *WHO)["audit_id"]
    cli.ok("failed", "undo", act, *WHO)
    again = cli.json("failed", "undo", act, *WHO)
    assert (again["undone"], again["audit_id"], lab.by_status(sql)) == (0, None, {"failed": 1})
    assert len(cli.json("audit")["audit"]) == 2
    assert cli.json("failed", "list")["groups"][0]["failed_again"] == 0, "an undone replay did not happen"


def test_an_undone_failure_is_as_old_as_it_was(cli: Cli, sql: psycopg.Connection) -> None:
    """Else an alarm on new failures would go off."""
    fail(sql, updated_at="infinity")
    fail(sql, updated_at="2026-01-02Z", replay_count=1, last_replayed_at="2026-01-01Z")
    times = "SELECT updated_at::text FROM search_outbox_events ORDER BY 1"
    before = sql.execute(times).fetchall()
    cli.ok("failed", "undo", cli.json("replay", *WHO)["audit_id"], *WHO)
    assert sql.execute(times).fetchall() == before
    assert cli.json("failed", "list")["groups"][0]["failed_again"] == 1, "by the replay before"


def test_a_later_replay_is_somebody_elses(cli: Cli, sql: psycopg.Connection) -> None:
    event = fail(sql)
    first = cli.json("replay", *WHO)["audit_id"]
    sql.execute("UPDATE search_outbox_events SET status = 'failed' WHERE id = %s", [event])
    second = cli.json("replay", *WHO)["audit_id"]
    seen = cli.json("failed", "undo", first, *WHO)
    assert (seen["undone"], seen["now"]) == (0, {"replayed since": 1})
    assert cli.json("failed", "undo", second, *WHO)["undone"] == 1


def test_a_discard_cannot_be_undone(cli: Cli, sql: psycopg.Connection) -> None:
    fail(sql)
    refused = cli("failed", "undo", cli.json("failed", "discard", *WHO, "--limit", "1")["audit_id"], *WHO)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "only a replay can be undone" in refused.stderr
