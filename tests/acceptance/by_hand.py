"""The lab document from section 1 to 8, typed in its own order: a function a section.

The defaults hold wherever the document sets nothing else; what it writes is in `labs-004.md`, word for word.
"""

import json
import re
import signal
from time import monotonic
from typing import Any

import psycopg

from acceptance import lab
from acceptance.terminal import Machine, moved_ports
from processes import Worker, eventually

LOADED = 3000  # TOTAL_OPS of section 3
HELD = 50  # in one batch: what section 4.6.2 saw in `processing`
SLOW = f"export OUTBOX_BULK_SIZE={HELD} OUTBOX_CONCURRENCY=1"  # so that a person sees it: docs/labs/README.md
RECLAIMED = re.compile(r"Reclaimed (\d+) stuck outbox events \(expired lease or max processing exceeded\)")


def from_section_1_to_8(machine: Machine) -> None:
    """The document from its first line to its last."""
    services_and_tables(machine)
    url = re.search(r"DATABASE_URL='(.*)'", "\n".join(machine.exports))
    assert url
    with psycopg.connect(url[1].replace("+psycopg", ""), autocommit=True) as sql:
        first = worker_and_observation(machine, sql)
        healed = kill_and_heal(machine, sql, first)
        recovered = outage_and_backoff(machine, sql, healed)
        bad_op(sql, recovered)
        attempts_exhausted(machine, sql, recovered)
        audited_replay(machine, sql)


def services_and_tables(machine: Machine) -> None:
    """Sections 1.1 and 1.2, by the commands that stand for them."""
    printed = machine.run("outboxctl services up", timeout=180)
    assert machine.run(printed, 'psql "$DATABASE_URL" -Atc "SELECT 1"').strip() == "1"
    machine.run(printed, "outboxctl db upgrade")
    machine.moved = moved_ports(printed)


def worker_and_observation(machine: Machine, sql: lab.Sql) -> Worker:
    """Sections 1.4 and 2: the worker is ready, and every figure is there before anything has happened."""
    worker = machine.worker()
    eventually(lambda: worker.get("/readyz")[0] == 200, what="ready after the document's exports")
    assert json.loads(worker.get("/readyz")[1]) == {"ready": True, "last_success_seconds": None}
    shown = machine.run(machine.typed(lab.CURL))
    assert [name for name in lab.METRICS if f"{name}{{" not in shown] == []
    assert snapshot(sql) == ({}, 0, [])
    return worker


def kill_and_heal(machine: Machine, sql: lab.Sql, running: Worker) -> Worker:
    """Sections 3 and 4; the load of section 3 goes on meanwhile."""
    load = machine.load()
    eventually(lambda: running.metric("outbox_processed_total") > 0)
    eventually(lambda: json.loads(running.get("/readyz")[1]).get("last_success_seconds") is not None)
    stop(running)
    assert (snapshot(sql)[0].keys() <= {"pending"}, snapshot(sql)[1]) == (True, 0), "^C leaves nothing stuck"
    eventually(lambda: snapshot(sql)[0].get("pending", 0) >= 2 * HELD)
    kill_in_processing(machine, sql)
    assert eventually(lambda: snapshot(sql)[1], what="stuck above 0") == HELD
    restarted = machine.worker(lab.blocks("4.2")[0])
    eventually(lambda: lab.by_status(sql) == {"done": LOADED} and load.poll() == 0, within=240)
    assert snapshot(sql) == ({}, 0, [])
    assert sum(map(int, RECLAIMED.findall(restarted.log.read_text()))) == HELD
    assert restarted.metric("outbox_processed_total") >= HELD
    eventually(lambda: restarted.metric("outbox_stuck_processing_events") == 0)
    return restarted


def kill_in_processing(machine: Machine, sql: lab.Sql) -> None:
    """A batch is seen in `processing`, for the sink takes its time, and its worker is killed."""
    said = machine.folder / "proxy.log"
    proxy = machine.start(said, *machine.exports, "exec outboxctl chaos proxy --fault delay=5 --port 0")
    slow_sink = eventually(lambda: re.search(r"^export ELASTIC_URL=.*$", said.read_text(), re.MULTILINE))[0]
    worker = machine.worker(lab.blocks("4.2")[0], SLOW, then=slow_sink)
    eventually(lambda: snapshot(sql)[0].get("processing") == HELD)
    worker.signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert snapshot(sql)[0]["processing"] == HELD
    proxy.terminate()
    proxy.wait(30)


def outage_and_backoff(machine: Machine, sql: lab.Sql, running: Worker) -> Worker:
    """Section 5, at the defaults: the engine is stopped in the middle of a load, and started again."""
    stop(running)
    worker = machine.worker()
    load = machine.load()
    eventually(lambda: worker.metric("outbox_processed_total") > 0)
    machine.run(*machine.exports, "outboxctl chaos es stop")
    stopped = monotonic()
    figures_of_an_outage(worker)
    eventually(
        lambda: [row for row in snapshot(sql)[2] if row["next_retry_at"] and row["error_reason"] == "connect"]
    )
    eventually(lambda: most_attempts(sql) >= 7, within=120, what="seven attempts")
    assert monotonic() - stopped > 7, "not an attempt a second"
    machine.run(*machine.exports, "outboxctl chaos es start")
    eventually(lambda: lab.by_status(sql) == {"done": 2 * LOADED} and load.poll() == 0, within=120)
    assert worker.metric("outbox_terminal_failed_total") == 0
    machine.run(*machine.exports, "outboxctl verify")
    return worker


def figures_of_an_outage(worker: Worker) -> None:
    """Retries grow, the probes say which end is unreachable, and nothing is final."""
    before = eventually(lambda: worker.metric("outbox_retry_scheduled_total", reason="connect"))
    eventually(lambda: worker.metric("outbox_retry_scheduled_total", reason="connect") > before)
    _, body = eventually(lambda: (answer := worker.get("/readyz"))[0] == 503 and answer)
    assert (json.loads(body)["ready"], "sink" in json.loads(body)["failing"]) == (False, True)
    assert worker.get("/healthz")[0] == 200
    assert worker.metric("outbox_terminal_failed_total") == 0


def bad_op(sql: lab.Sql, worker: Worker) -> None:
    """Section 6."""
    sql.execute(lab.BAD_OP_SQL)
    row = eventually(lambda: lab.rows(sql, "SELECT * FROM search_outbox_events WHERE status = 'failed'"))[0]
    assert (row["attempts"], row["next_retry_at"]) == (1, None)
    assert row["error_reason"] == "deterministic_exception"
    assert "Unknown outbox op: 'not-a-real-op'" in row["error"]
    eventually(lambda: worker.metric("outbox_terminal_failed_total", reason=row["error_reason"]) == 1)


def attempts_exhausted(machine: Machine, sql: lab.Sql, running: Worker) -> None:
    """Section 7, by a wrong address of the engine."""
    stop(running)
    worker = machine.worker(lab.blocks("7.2")[0], then="export ELASTIC_URL='http://localhost:1'")
    machine.run(*machine.exports, "outboxctl inject load --total 100 --rate 0")
    eventually(lambda: lab.by_status(sql) == {"done": 2 * LOADED, "failed": 101})
    spent = lab.rows(
        sql,
        "SELECT DISTINCT attempts, next_retry_at FROM search_outbox_events WHERE error_reason = 'connect'",
    )
    assert spent == [{"attempts": 3, "next_retry_at": None}]
    eventually(lambda: worker.metric("outbox_terminal_failed_total", reason="connect") == 100)
    stop(worker)


def audited_replay(machine: Machine, sql: lab.Sql) -> None:
    """Section 8: the dry run changes nothing, the replay signs what it moves, and a worker delivers it."""
    rehearsal, replay = lab.blocks("8.2")
    before = lab.state(sql)
    machine.run(machine.typed(rehearsal))
    assert lab.state(sql) == before
    machine.run(*machine.exports, machine.typed(replay))
    moved = "SELECT * FROM search_outbox_events WHERE replay_count = 1 AND status = 'pending'"
    replayed = lab.rows(sql, moved)
    assert len(replayed) == 100
    for row in replayed:
        assert (row["attempts"], row["next_retry_at"], row["error_reason"], row["error"]) == (
            0,
            None,
            None,
            None,
        )
        assert (row["last_replayed_by"], row["last_replayed_reason"]) == ("alice", "fixed root cause")
        assert row["last_replayed_at"]
    worker = machine.worker()
    eventually(lambda: snapshot(sql)[0].keys() == {"failed"})
    stop(worker)
    left = lab.one(sql, "SELECT count(*) FROM search_outbox_events WHERE error_reason = 'connect'")
    assert lab.by_status(sql)["done"] + left == 2 * LOADED + 100


def stop(worker: Worker) -> None:
    """^C."""
    worker.signal(signal.SIGINT)
    assert worker.wait(60) == 0


def snapshot(sql: lab.Sql) -> tuple[dict[str, int], int, list[Any]]:
    """SQL A, B and C of section 2.2, word for word: events a status, stuck ones, the oldest pending."""
    status = dict(sql.execute(lab.STATUS_SQL.encode()).fetchall())
    return status, lab.one(sql, lab.STUCK_SQL), lab.rows(sql, lab.OLDEST_SQL)


def most_attempts(sql: lab.Sql) -> int:
    """Of the events that still wait."""
    query = "SELECT coalesce(max(attempts), 0) FROM search_outbox_events WHERE processed_at IS NULL"
    return int(lab.one(sql, query))
