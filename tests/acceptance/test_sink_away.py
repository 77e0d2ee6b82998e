"""The sink is away or not ready: the queue waits, counts and converges; nothing is marked done."""

import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from acceptance import lab
from processes import Cli, Worker, eventually

Start = Callable[..., Worker]


@pytest.fixture
def closed() -> Iterator[str]:
    """The URL of a port that nobody listens on, and nobody else is given meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_a_sink_that_is_away_delays_events_and_does_not_hammer(
    sql: lab.Sql, worker: Start, closed: str
) -> None:
    _, event = lab.put(sql)
    running = worker(ELASTIC_URL=closed, OUTBOX_BASE_BACKOFF_SECONDS="0.3", OUTBOX_MAX_BACKOFF_SECONDS="600")

    def waiting(attempts: int) -> Any:
        row = lab.event_row(sql, event)
        return row["status"] == "pending" and row["attempts"] >= attempts and row

    for attempts in (1, 2, 3):
        row = eventually(partial(waiting, attempts))
        assert row["error_reason"] == "connect"
        assert row["error"]
        assert row["next_retry_at"] > row["updated_at"]
    assert running.metric("outbox_retry_scheduled_total", reason="connect") >= 3
    assert running.metric("outbox_terminal_failed_total") == 0
    status, body = running.get("/readyz")
    assert (status, '"sink"' in body) == (503, True)
    assert running.get("/healthz")[0] == 200
    lab.assert_clean(sql)


def test_an_outage_ends_in_failed_at_max_attempts_and_replay_repairs_it(
    sql: lab.Sql, worker: Start, cli: Cli, closed: str
) -> None:
    lab.load(sql, 20)
    running = worker(
        ELASTIC_URL=closed,
        OUTBOX_MAX_ATTEMPTS="2",
        OUTBOX_BASE_BACKOFF_SECONDS="0.05",
        OUTBOX_MAX_BACKOFF_SECONDS="0.1",
    )
    eventually(lambda: lab.by_status(sql) == {"failed": 20})
    assert {(row["attempts"], row["next_retry_at"], row["error_reason"]) for row in lab.rows(sql)} == {
        (2, None, "connect")
    }
    lab.assert_clean(sql)
    eventually(lambda: running.metric("outbox_terminal_failed_total", reason="connect") == 20)
    assert running.metric("outbox_failed_total", reason="connect") == 40
    assert running.metric("outbox_retry_scheduled_total", reason="connect") == 20
    running.end()
    assert cli.json("replay", "--by", "alice", "--reason", "sink is back")["matched"] == 20
    cli.ok("worker", "--drain")
    lab.assert_clean(sql)
    assert lab.by_status(sql) == {"done": 20}


def test_a_drain_with_the_sink_away_does_not_wait_for_the_pause(cli: Cli, sql: lab.Sql, closed: str) -> None:
    lab.load(sql, 5)
    done = cli(
        "worker",
        "--drain",
        env={
            "ELASTIC_URL": closed,
            "OUTBOX_BASE_BACKOFF_SECONDS": "3600",
            "OUTBOX_MAX_BACKOFF_SECONDS": "3600",
        },
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert lab.by_status(sql) == {"pending": 5}
    assert {row["attempts"] for row in lab.rows(sql)} == {1}
    lab.assert_clean(sql)
