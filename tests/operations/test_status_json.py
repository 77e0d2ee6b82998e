"""`status --json` is what its schema says, whatever the rows hold; the text says the same to people."""

import json
import re
from typing import Any

import psycopg
import pytest
from tools.reference import pages

from processes import Cli
from scene import Scene

WORKER = """
INSERT INTO outbox_workers VALUES (gen_random_uuid(), %(id)s, %(host)s, 7, '1', now(),
    now() - %(age)s * interval '1 s', 3, 'hold', %(open)s, 100, %(out)s)
"""
HOSTILE = "\x1b[31mred\x07 [bold]\u202e"


def worker(sql: psycopg.Connection, id_: str, *, age: float = 0, open_: bool = False, out: Any = 60) -> None:
    sql.execute(WORKER, {"id": id_, "host": HOSTILE, "age": age, "open": open_, "out": out})


def valid(cli: Cli, *args: str) -> Any:
    """The output, held against the schema; no key is there that it does not name."""
    from jsonschema import Draft202012Validator  # it takes seconds to load

    seen, schema = cli.json("status", *args), json.loads(pages()["reference/status.schema.json"])
    Draft202012Validator(schema).validate(seen)
    assert set(seen) == set(schema["properties"])
    return seen


def test_an_empty_outbox(cli: Cli) -> None:
    seen = valid(cli)
    assert seen["status"] == {"pending": 0, "processing": 0, "done": 0, "failed": 0}
    assert (seen["estimated"], seen["workers"], seen["drain_seconds"]) == ([], [], 0)
    assert (seen["rate_in"], seen["rate_out"], seen["circuit_open"]) == (None, None, None)


def test_a_busy_one_and_its_workers(cli: Cli, sql: psycopg.Connection, scene: Scene) -> None:
    scene.load(40)
    sql.execute(
        "UPDATE search_outbox_events SET error = %s, error_reason = 'mapping', created_at = '-infinity',"
        " event_version = NULL WHERE id = (SELECT min(id::text)::uuid FROM search_outbox_events)",
        [HOSTILE],
    )
    worker(sql, "a", age=-600, out=80)  # alive for as long as this test may take
    worker(sql, "b", age=-600, out=60)
    worker(sql, "gone", age=60, out=9_000)
    seen = valid(cli)
    assert (seen["rate_in"], seen["rate_out"], seen["drain_seconds"]) == (100, 140, 1)
    assert seen["circuit_open"] is False
    assert [(w["worker_id"], w["alive"]) for w in seen["workers"]] == [
        ("a", True),
        ("b", True),
        ("gone", False),
    ]
    text = cli.ok("status")
    assert text.startswith("Lag: 40 events, the oldest ")
    assert "Pace: in 100/s, out 140/s, drained in 1.0 s" in text
    (line,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["gone"]]
    assert line[-1] == "gone", "it holds nothing any more"
    assert "\x1b" not in text + cli.ok("status", env={"COLUMNS": "40"})
    sql.execute("UPDATE outbox_workers SET rate_out = 1")
    assert valid(cli)["drain_seconds"] is None
    sql.execute("UPDATE search_outbox_events SET created_at = now() + interval '1 minute'")
    assert "never drained" not in cli.ok("status"), "what is young is on its way"
    sql.execute("UPDATE search_outbox_events SET created_at = now() - interval '1 minute'")
    assert "never drained at this pace" in cli.ok("status")


def test_without_a_worker_the_next_command_says_what_that_means(cli: Cli, scene: Scene) -> None:
    assert "Next" not in cli.ok("status"), "nothing waits for one"
    scene.load(1)
    assert cli.ok("status").endswith("Next: outboxctl explain OutboxWorkerGone\n")


def test_right_after_an_outage_no_time_to_drain_is_made_up(
    cli: Cli, sql: psycopg.Connection, scene: Scene
) -> None:
    """`drained in 16 min` came of a pace over seconds of which nearly all were the outage's."""
    scene.load(40)
    worker(sql, "a", age=-600, out=100.1)
    retry = "UPDATE search_outbox_events SET next_retry_at = now() + interval '1 hour' WHERE id IN"
    sql.execute(f"{retry} (SELECT id FROM search_outbox_events LIMIT 4)")
    assert valid(cli)["drain_seconds"] == pytest.approx(400)
    sql.execute(f"{retry} (SELECT id FROM search_outbox_events)")
    seen = valid(cli)
    assert (seen["drain_seconds"], seen["waiting_for_retry"]) == (None, 40)
    assert 3_500 < seen["retries_due_seconds"] <= 3_600
    text = cli.ok("status")
    assert re.search(
        r"Pace: in 100/s, out 100/s; 40 wait for a retry, the last is due in (1 h 0|59) min", text
    )
    assert "drained" not in text
    sql.execute("UPDATE search_outbox_events SET next_retry_at = 'infinity'")
    assert valid(cli)["retries_due_seconds"] == 0
    sql.execute("UPDATE search_outbox_events SET next_retry_at = NULL")
    away = [{"projection": p, "reason": "connect", "seconds": 9} for p in ("search_index_to_elastic", None)]
    away += [{"projection": "idle", "reason": "config", "seconds": 9}]
    sql.execute(
        "UPDATE outbox_workers SET circuit_open = true, rate_out = 0, outages = %s", [json.dumps(away)]
    )
    seen = valid(cli)
    assert seen["drain_seconds"] is None
    assert [(each["projection"], each["events"]) for each in seen["away"]] == [
        (None, 40),
        ("search_index_to_elastic", 40),
    ], "nothing waits for the third"
    text = cli.ok("status")
    since = "since (\\d{4}-..-.. )?..:..:..Z"
    assert re.match(
        rf"The engine is away {since} \(connect\): 40 events wait\n"
        rf"search_index_to_elastic is away {since} \(connect\): 40 events wait\nLag: 40 events",
        text,
    )
    assert "drained" not in text  # nor `never`: it is an outage
    assert text.endswith("Next: outboxctl doctor --only sink\n")
    unread = json.dumps([{"projection": "search_index_to_elastic", "reason": "config", "seconds": 9}])
    sql.execute("UPDATE outbox_workers SET outages = %s", [unread])
    assert cli.ok("status").endswith("Next: outboxctl doctor\n"), "a view may be the cause"
    sql.execute("UPDATE outbox_workers SET outages = %s", [json.dumps(away)])
    sql.execute("UPDATE outbox_workers SET rate_out = NULL")  # so it is while the circuit is open
    assert "Pace: nothing is delivered while the circuit is open" in cli.ok("status")
    sql.execute("UPDATE search_outbox_events SET status = 'failed', error_reason = 'mapping'")
    assert cli.ok("status").endswith("Next: outboxctl doctor --only sink, then outboxctl failed list\n")
