"""A worker on a machine whose clock is an hour off."""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from outboxctl.core.documents import source_rows
from outboxctl.drills.labs.experiment import PATIENCE_SECONDS
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.drills.proxy import faults

BATCH = 20
OFF = timedelta(hours=1)
ODD = timedelta(minutes=10)  # nothing in this lab takes nearly so long
LOGGED = re.compile(r'"timestamp": "([^"]+)"')
# Python runs a module of this name before anything else. Whatever the worker asks for the time says an
# hour less; the monotonic clock is nobody's to set, and stays.
SITE = f"""
import datetime
import time

honest, Datetime = time.time, datetime.datetime


class Skewed(Datetime):
    __slots__ = ()

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(honest() - {OFF.total_seconds()}, tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)


time.time = lambda: honest() - {OFF.total_seconds()}
time.time_ns = lambda: int(time.time() * 1e9)
datetime.datetime = Skewed
"""


class ClockSkew(Lab):
    """One worker's clock is an hour behind; another's is right."""

    name = "clock-skew"
    title = BilingualText("A worker's clock is wrong", "worker 的时钟不准")
    question = BilingualText(
        "Are leases and retries right if a worker's machine has the wrong time?",
        "worker 所在机器时间不准时，租约和重试是否正确？",
    )
    hypothesis = BilingualText(
        "The database's clock decides: its leases are whole ones, its retries come in seconds.",
        "以数据库时钟为准：租约完整，不会被提前回收；重试在数秒内到期。",
    )
    settings = {
        "OUTBOX_LEASE_SECONDS": "20",
        "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2",
        "OUTBOX_MAX_BACKOFF_SECONDS": "2",
        "OUTBOX_BULK_SIZE": str(BATCH),
        "OUTBOX_CONCURRENCY": "1",
    }
    events = 20
    seconds = 8.0
    by_hand = (
        "faketime -f -1h outboxctl worker &",
        "OUTBOX_METRICS_PORT=9109 outboxctl worker 2>worker.log &",
        "outboxctl inject load --count 20000 --rate 0",
        "outboxctl status  # nothing is stuck",
        "grep Reclaimed worker.log  # nothing",
    )

    def inject(self, scene: Scene) -> None:
        """Both workers hold a batch, and then have to put it back: the sink says 503."""
        started = scene.fault("the clock of worker w2 is an hour behind", lambda: self._start(scene))
        scene.took_hold(
            BilingualText("its clock is an hour behind", "其时钟慢一小时"),
            lambda: self._behind(scene) > ODD,
            within=PATIENCE_SECONDS if started else 0,
        )
        scene.fault("the sink says 503", lambda: scene.proxy.set(faults.unavailable()), scene.proxy.clear)
        with scene.proxy.hold("before apply"):
            scene.load(2 * BATCH)
            scene.expect_soon(
                BilingualText("both have events in hand at once", "两者同时持有事件"),
                lambda: {event.owner for event in scene.held()} >= {"w1", "w2"},
                within=10,
            )
            self.leases = _ahead(scene, [e.lease_until for e in scene.held() if e.owner == "w2"])
            scene.say(f"leases of w2 end in {_spread(self.leases)} s")

    def observe(self, scene: Scene) -> None:
        """When the retries come."""
        scene.wait(lambda: not scene.held(), within=10)
        self.retries = _ahead(scene, [event.next_retry_at for event in scene.events()])
        scene.say(f"retries come in {_spread(self.retries)} s")
        scene.undo()

    def check(self, scene: Scene) -> None:
        """All by the database's clock, and nothing was taken from anybody."""
        lease, longest = scene.settings.lease_seconds, scene.settings.max_backoff_seconds
        whole = all(0 < seconds <= lease for seconds in self.leases)
        scene.expect(
            BilingualText("its leases end in", "其租约剩余"),
            f"at most {lease:g} s",
            f"{_spread(self.leases)} s",
            met=whole and bool(self.leases),
        )
        soon = all(-ODD.total_seconds() < seconds <= longest for seconds in self.retries)
        scene.expect(
            BilingualText("retries come in", "重试到期时间"),
            f"at most {longest:g} s",
            f"{_spread(self.retries)} s",
            met=soon and bool(self.retries),
        )
        reclaimed = sum(worker.reclaimed() for worker in scene.workers.values())
        scene.expect(BilingualText("events reclaimed", "被回收的事件"), 0, reclaimed)
        scene.expect(BilingualText("events done", "done 事件数"), scene.written, scene.look().done)
        behind = round(self._behind(scene).total_seconds() / 60)
        said = BilingualText(f"{behind} minutes behind", f"慢 {behind} 分钟")
        scene.conclude(BilingualText("the clock of w2", "w2 的时钟"), said)

    def _start(self, scene: Scene) -> bool:
        """The second worker, with another idea of what time it is."""
        site = scene.namespace.home / self.name
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(SITE)
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        scene.worker("w2", PYTHONPATH=path).start()
        return True

    def _behind(self, scene: Scene) -> timedelta:
        """How far the clock in the second worker's log is behind ours, at least."""
        said = LOGGED.findall(scene.worker("w2").log_text())
        return datetime.now(UTC) - datetime.fromisoformat(said[-1]) if said else timedelta()


def _ahead(scene: Scene, times: Sequence[datetime | None]) -> list[float]:
    """How many seconds it is until then, by the database's clock."""
    now = scene.transact(source_rows.moment)
    return [round((time - now).total_seconds(), 1) for time in times if time]


def _spread(seconds: Sequence[float]) -> str:
    return f"{min(seconds):g} to {max(seconds):g}" if seconds else "no"
