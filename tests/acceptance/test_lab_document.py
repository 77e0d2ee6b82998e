"""The lab document's own lines, word for word."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from acceptance import by_hand, lab
from acceptance.terminal import empty_machine
from processes import Cli, Worker, eventually


def test_bad_op_insert_of_the_lab_ends_failed_at_once_and_is_counted(
    sql: lab.Sql, worker: Callable[..., Worker]
) -> None:
    running = worker()
    eventually(lambda: running.get("/readyz")[0] == 200)
    before = running.metric("outbox_terminal_failed_total", reason="deterministic_exception")
    assert before == 0
    sql.execute(lab.BAD_OP_SQL)
    eventually(lambda: lab.by_status(sql) == {"failed": 1})
    row = lab.rows(sql)[0]
    assert (row["attempts"], row["next_retry_at"]) == (1, None)
    assert row["error_reason"] == "deterministic_exception"
    assert "Unknown outbox op: 'not-a-real-op'" in row["error"]
    assert (row["owner"], row["lease_until"], row["processed_at"]) == (None, None, None)
    eventually(
        lambda: (
            running.metric("outbox_terminal_failed_total", reason="deterministic_exception", op="other") == 1
        )
    )
    assert running.metric("outbox_failed_total", reason="deterministic_exception") == 1
    assert running.metric("outbox_processed_total") == 0
    assert "not-a-real-op" not in running.get("/metrics")[1]


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_line_of_the_lab_shows_all_eight_metrics(worker: Callable[..., Worker]) -> None:
    running = worker()
    eventually(lambda: running.get("/healthz")[0] == 200)
    shown = subprocess.run(
        ["bash", "-c", lab.CURL.replace("9109", str(running.port))],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    missing = [name for name in lab.METRICS if f"{name}{{" not in shown]
    assert missing == []
    assert 'outbox_lag_events{projection="search_index_to_elastic"}' in shown
    assert "_created" not in shown


def test_sql_a_b_c_of_the_lab_agree_with_status(cli: Cli, sql: lab.Sql) -> None:
    entity, _ = lab.put(sql)
    ids = [lab.event(sql, entity, created=f"2020-01-0{day}") for day in (7, 2, 5, 3, 6, 4)]
    stuck = lab.event(sql, entity, status="processing", created="2019-01-01")
    fine = lab.event(sql, entity, status="processing", created="2019-01-01")
    failed = lab.event(sql, entity, status="failed")
    for column, moment in (("lease_until", "-1 s"), ("processing_started_at", "-1 s")):
        sql.execute(
            f"UPDATE search_outbox_events SET owner = 'w', {column} = now() + %s::interval WHERE id = %s",
            [moment, stuck],
        )
    sql.execute(
        "UPDATE search_outbox_events SET owner = 'w', lease_until = now() + interval '1 h', "
        "processing_started_at = now() WHERE id = %s",
        [fine],
    )
    sql.execute("UPDATE search_outbox_events SET error_reason = 'mapping' WHERE id = %s", [failed])
    seen = cli.json("status")
    assert sql.execute(lab.STATUS_SQL).fetchall() == [("failed", 1), ("pending", 7), ("processing", 2)]
    assert {k: n for k, n in seen["status"].items() if n} == {"failed": 1, "pending": 7, "processing": 2}
    assert seen["stuck"] == lab.one(sql, lab.STUCK_SQL) == 1
    oldest = [str(row[0]) for row in sql.execute(lab.OLDEST_SQL).fetchall()]
    assert [row["id"] for row in seen["oldest_pending"]] == oldest
    assert oldest == [str(ids[n]) for n in (1, 3, 5, 2, 4)]
    assert [row["id"] for row in cli.json("stuck")["events"]] == [str(stuck)]
    assert seen["lag"] == 9
    assert seen["failed_by_reason"] == {"mapping": 1}
    long = lab.one(
        sql,
        "UPDATE search_outbox_events SET processing_started_at = now() - interval '11 min' "
        "WHERE id = %s RETURNING id",
        fine,
    )
    assert lab.one(sql, lab.STUCK_SQL) == 2
    assert str(long) in [row["id"] for row in cli.json("stuck")["events"]]


@pytest.mark.slow(reason="starts servers of its own and runs the whole document")
@pytest.mark.no_servers  # it starts its own
@pytest.mark.timeout(600)
def test_the_document_can_be_done_in_its_own_order_on_a_machine_that_has_nothing(tmp_path: Path) -> None:
    with empty_machine(tmp_path) as machine:
        by_hand.from_section_1_to_8(machine)
