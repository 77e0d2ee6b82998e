"""A worker on a machine whose clock is an hour off."""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from outboxctl.core.documents import source_rows
from outboxctl.drills.labs import BilingualText, Lab, LabContext
from outboxctl.drills.labs.experiment import TIMEOUT_SECONDS
from outboxctl.drills.proxy import faults

BATCH = 20
OFF = timedelta(hours=1)
ODD = timedelta(minutes=10)  # nothing in this lab takes nearly so long
LOGGED = re.compile(r'"timestamp": "([^"]+)"')
# The contents of `sitecustomize`, a module that Python imports before anything else: wall clocks are an
# hour behind. The monotonic clock cannot be set, and stays.
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
        "The database's clock decides: its leases have their full length, its retries are due in seconds.",
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

    def inject(self, ctx: LabContext) -> None:
        """Both workers put a batch back: the sink answers 503."""
        started = ctx.fault("the clock of worker w2 is an hour behind", lambda: self._start(ctx))
        ctx.confirm(
            ("its clock is an hour behind", "其时钟慢一小时"),
            lambda: self._behind(ctx) > ODD,
            within=TIMEOUT_SECONDS if started else 0,
        )
        ctx.proxy_fault("the sink says 503", faults.unavailable())
        with ctx.proxy.hold("before apply"):
            ctx.load(2 * BATCH)
            both = ("both hold events at the same time", "两者同时持有事件")
            ctx.expect_soon(both, lambda: ctx.owners() >= {"w1", "w2"}, within=10)
            self.leases = _seconds_until(ctx, [e.lease_until for e in ctx.held() if e.owner == "w2"])
            ctx.log(f"leases of w2 end in {_range(self.leases)} s")

    def observe(self, ctx: LabContext) -> None:
        """Read when the retries are due."""
        ctx.wait(lambda: not ctx.held(), within=10)
        self.retries = _seconds_until(ctx, [event.next_retry_at for event in ctx.events()])
        ctx.log(f"retries come in {_range(self.retries)} s")
        ctx.undo()

    def check(self, ctx: LabContext) -> None:
        """All times are by the database's clock; nothing was reclaimed."""
        lease, longest = ctx.settings.lease_seconds, ctx.settings.max_backoff_seconds
        _expect_within(ctx, ("its leases end in", "其租约剩余"), self.leases, above=0, most=lease)
        odd = -ODD.total_seconds()
        _expect_within(ctx, ("retries come in", "重试到期时间"), self.retries, above=odd, most=longest)
        reclaimed = sum(worker.reclaimed() for worker in ctx.workers.values())
        ctx.expect(("events reclaimed", "被回收的事件"), 0, reclaimed)
        ctx.expect_counts(done=ctx.written)
        behind = round(self._behind(ctx).total_seconds() / 60)
        ctx.conclude(("the clock of w2", "w2 的时钟"), (f"{behind} minutes behind", f"慢 {behind} 分钟"))

    def _start(self, ctx: LabContext) -> bool:
        """Start the second worker with the other clock."""
        site = ctx.namespace.home / self.name
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(SITE)
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        ctx.worker("w2", PYTHONPATH=path).start()
        return True

    def _behind(self, ctx: LabContext) -> timedelta:
        """How far the clock in the second worker's log is behind ours, at least."""
        times = LOGGED.findall(ctx.worker("w2").log_text())
        return datetime.now(UTC) - datetime.fromisoformat(times[-1]) if times else timedelta()


def _seconds_until(ctx: LabContext, times: Sequence[datetime | None]) -> list[float]:
    """Seconds until each of these times, by the database's clock."""
    now = ctx.transact(source_rows.moment)
    return [round((time - now).total_seconds(), 1) for time in times if time]


def _expect_within(
    ctx: LabContext, name: tuple[str, str], seconds: Sequence[float], *, above: float, most: float
) -> None:
    met = bool(seconds) and all(above < each <= most for each in seconds)
    ctx.expect(name, f"at most {most:g} s", f"{_range(seconds)} s", met=met)


def _range(seconds: Sequence[float]) -> str:
    return f"{min(seconds):g} to {max(seconds):g}" if seconds else "no"
