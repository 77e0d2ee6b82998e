"""How long the events of a dead worker are out of reach."""

import signal
from collections.abc import Callable
from time import monotonic

from processes import Cli, Worker, eventually
from scene import Scene, ready

LEASE, INTERVAL, SLACK = 2.0, 0.5, 1.0
TOTAL = 50
SETTINGS = {"OUTBOX_LEASE_SECONDS": str(LEASE), "OUTBOX_RECLAIM_INTERVAL_SECONDS": str(INTERVAL)}
HELD = "SELECT FROM search_outbox_events WHERE status = 'processing' AND owner = 'dead'"
ACTIVE = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
"""


def test_nothing_is_stuck_after_the_lease_and_one_reclaim(
    scene: Scene, cli: Cli, worker: Callable[..., Worker], silent_sink: str
) -> None:
    other = worker(**SETTINGS)
    eventually(lambda: ready(other), what="ready")
    other.signal(signal.SIGSTOP)  # else it would take the events
    eventually(lambda: not scene.sql.execute(ACTIVE).fetchall(), what="a claim that it has sent is over")
    scene.load(TOTAL)
    dead = worker(**SETTINGS, ELASTIC_URL=silent_sink, OUTBOX_WORKER_ID="dead")
    eventually(lambda: scene.count("processing") == TOTAL, what="claimed")
    other.signal(signal.SIGCONT)
    dead.signal(signal.SIGKILL)
    killed_at = monotonic()
    assert scene.sql.execute(HELD).rowcount == TOTAL
    eventually(lambda: not scene.sql.execute(HELD).fetchall(), what="free again")
    assert monotonic() - killed_at <= LEASE + INTERVAL + SLACK
    assert cli.json("stuck")["events"] == []
    scene.holds(TOTAL)
