"""A worker on a machine whose clock is an hour behind."""

import subprocess
from pathlib import Path

from acceptance import lab
from fakes import Point, Script, fake_sink
from fakes.faults import refused
from outboxctl.drills import services
from processes import OUTBOXCTL, eventually

# A module that Python imports before anything else. The monotonic clock cannot be set, and stays.
SITE = """
import datetime, time
honest, Datetime = time.time, datetime.datetime
class Skewed(Datetime):
    __slots__ = ()
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(honest() - 3600, tz)
time.time = lambda: honest() - 3600
datetime.datetime = Skewed
"""
SECONDS = (
    "SELECT extract(epoch FROM max({0}) - now())::float8 FROM search_outbox_events WHERE {0} IS NOT NULL"
)
DUE = "SELECT count(*) FROM search_outbox_events WHERE next_retry_at > now() - interval '1 min'"


def test_leases_and_retries_are_by_the_databases_clock(
    env: dict[str, str], sql: lab.Sql, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    script = Script.always(refused(503, "unavailable_shards_exception"))
    lab.load(sql, 3)
    with fake_sink(script) as sink, script.hold(Point.BEFORE_APPLY) as gate:
        more = {"PYTHONPATH": str(tmp_path), "ELASTIC_URL": sink.url, "OUTBOX_OUTAGE_POLICY": "count"}
        more |= {"OUTBOX_LEASE_SECONDS": "20", "OUTBOX_METRICS_PORT": str(services.fresh_port())}
        with (tmp_path / "log").open("w") as log:
            worker = subprocess.Popen([*OUTBOXCTL, "worker"], env=env | more, stdout=log, stderr=log)
        try:
            gate.wait()
            assert 0 < lab.one(sql, SECONDS.format("lease_until")) <= 20
            gate.let_go()
            eventually(lambda: lab.one(sql, DUE) == 3)
            assert lab.one(sql, SECONDS.format("next_retry_at")) <= 30
        finally:
            worker.kill()
            worker.wait()
