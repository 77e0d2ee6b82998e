"""^C ends a comparison at once, whatever it waits for, and a repair after whole batches."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from acceptance import lab
from operations.disaster import Ground
from processes import Process, eventually, piped

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "drill")
BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ %s
"""


@contextmanager
def command(env: dict[str, str], cwd: Path, *args: str) -> Iterator[Process]:
    process = piped(args, env, cwd)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_a_repair_ends_after_the_batch_under_way(
    ground: Ground, url: str, env: dict[str, str], tmp_path: Path
) -> None:
    ground.bulk([{"delete": {"_id": one.id}} for one in ground.documents()[:5]])
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE outbox_operator_audit IN ACCESS EXCLUSIVE MODE")
        with command(env, tmp_path, "verify", "--repair", *WHO, "--json") as process:
            eventually(lambda: lab.one(ground.sql, BLOCKED, "outbox_operator_audit"), what="blocked")
            process.send_signal(signal.SIGINT)
            holder.rollback()
            out, error = process.communicate(timeout=20)
    assert process.returncode == 130, error
    assert json.loads(out)["repaired"]["enqueued"] == 5
    assert lab.one(ground.sql, "SELECT affected FROM outbox_operator_audit") == 5
    assert lab.one(ground.sql, "SELECT count(*) FROM search_outbox_events") == 5
