"""What the labs of a search cluster share: updates that go on, a look at /readyz, and what must hold."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from threading import Event, Thread

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.labs.context import OK, LabContext
from outboxctl.drills.labs.experiment import Label
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import LabVerdict, Need

WORKER = "w1"
PER_TRANSACTION = 10  # updates
PAUSE_SECONDS = 0.1  # between two transactions: a hundred events a second
LOOK_SECONDS = 0.2  # between two looks at /readyz
DETECTION_SECONDS = 30.0  # until the other nodes have given one up; see shared_cluster.NODE_SETTINGS
GREEN_SECONDS = 180.0  # until all copies are there again, on a busy machine
GREEN = ("the cluster is green again", "集群恢复正常")
GONE = ("the node is gone", "节点已停止")
FAILED = ("events failed", "failed 事件数")
MOST = ("most attempts of an event", "单个事件的最大 attempts")
LOOKED = ("looks at /readyz", "查看 /readyz 的次数")
FLIPS = ("turns of /readyz", "/readyz 的变化次数")
NAMED = ("the rows name the cause", "行的 error 指明原因")
LONGEST = ("longest time without a delivery", "最长的无投递时间")
SETTINGS = {
    "OUTBOX_LEASE_SECONDS": "8",
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1",
    "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
    "OUTBOX_BASE_BACKOFF_SECONDS": "0.2",
    "OUTBOX_MAX_BACKOFF_SECONDS": "1",
    "OUTBOX_BULK_SIZE": "100",
    "OUTBOX_CONCURRENCY": "2",
    "OUTBOX_MAX_ATTEMPTS": "60",
}
HOLD = SETTINGS | {"OUTBOX_OUTAGE_POLICY": "hold"}
COUNT = SETTINGS | {"OUTBOX_OUTAGE_POLICY": "count"}


class Background:
    """A thread that does something again and again, every so many seconds, until `stop`.

    An OutboxctlError costs one turn: a fault of the lab. Any other ends the thread, and `stop` raises it:
    what the thread was to see would count as not seen.
    """

    def __init__(self, name: str, do: Callable[[], object], seconds: float) -> None:
        self._do, self._seconds, self._stop = do, seconds, Event()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return once it has ended. Raises what ended it before."""
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._seconds):
                with suppress(OutboxctlError):
                    self._do()
        except Exception as error:
            self._error = error


class Readiness:
    """What /readyz of the worker said: `turns` are the seconds at which that changed, and to what."""

    def __init__(self, ctx: LabContext) -> None:
        self._ctx = ctx
        self.turns: list[tuple[float, bool]] = []
        self.looks = 0

    def look(self) -> None:
        """Ask once."""
        self.looks += 1
        ready = self._ctx.worker(WORKER).get("/readyz")[0] == OK
        if not self.turns or self.turns[-1][1] != ready:
            self.turns.append((self._ctx.now, ready))

    @property
    def changes(self) -> int:
        """How often it turned, after the first answer."""
        return max(0, len(self.turns) - 1)


class ClusterLab(Lab):
    """A lab on three nodes of its own, with one worker that knows all of them, while updates stream."""

    of_cluster = True
    needs = frozenset({Need.OWN_CLUSTER})
    index_settings = {"number_of_shards": 3, "number_of_replicas": 1}  # noqa: RUF012 - a lab's data
    settings = HOLD
    events = 300

    readiness: Readiness

    def __init__(self) -> None:
        self._stack = ExitStack()

    def prepare(self, ctx: LabContext) -> None:
        """Write rows, and start one worker that sends to the nodes themselves."""
        self.entities = ctx.load(self.events)
        ctx.worker(WORKER, direct=True, **self.of_worker(ctx)).start()

    def of_worker(self, ctx: LabContext) -> dict[str, str]:  # noqa: ARG002 - labs override it
        """Settings of the worker in place of the lab's."""
        return {}

    def begin_stream(self, ctx: LabContext) -> None:
        """Update rows from now on until `undo`, and watch /readyz."""
        self.readiness = Readiness(ctx)
        turn = iter(range(10**9))
        rows = len(self.entities) // PER_TRANSACTION

        def write() -> None:
            start = next(turn) % rows * PER_TRANSACTION
            ctx.write(self.entities[start : start + PER_TRANSACTION])

        for name, do, seconds in (
            ("stream", write, PAUSE_SECONDS),
            ("readiness", self.readiness.look, LOOK_SECONDS),
        ):
            self._stack.callback(Background(name, do, seconds).stop)

    def undo(self, ctx: LabContext) -> None:
        """Undo the faults, and end the stream."""
        ctx.undo()
        self.end_stream()

    def end_stream(self) -> None:
        """End it, if it was begun."""
        self._stack.close()

    def recover(self, ctx: LabContext) -> None:
        """Wait until the cluster is green and no event is left."""
        ctx.confirm(GREEN, ctx.cluster.healthy, GREEN_SECONDS)
        ctx.expect_recovered(within=60)

    # Faults.

    def kill(self, ctx: LabContext, *names: str) -> None:
        """Kill nodes until undone."""
        cluster = ctx.cluster

        def begin() -> None:
            for name in names:
                cluster.kill(name)

        ctx.fault(f"SIGKILL to {', '.join(names)}", begin, lambda: cluster.restart(*names))
        ctx.confirm(GONE, lambda: all(cluster.node(name).state == "down" for name in names))

    # Checks.

    def expect_delivered(self, ctx: LabContext, name: Label, events: int, within: float) -> bool:
        """Expect so many more events to be done within so many seconds."""
        before = ctx.counts().done
        return bool(ctx.expect_soon(name, lambda: ctx.counts().done >= before + events, within))

    def expect_not_ready(self, ctx: LabContext, within: float) -> None:
        """Expect /readyz to be 503, and to name the sink."""
        label = ("/readyz is 503 and names the sink", "/readyz 返回 503 并指明 sink")
        ctx.expect_soon(label, lambda: "sink" in ctx.worker(WORKER).failing(), within=within)

    def expect_none_failed(self, ctx: LabContext) -> None:
        """Expect no event to have failed by now."""
        ctx.expect(("events failed meanwhile", "故障期间 failed 事件数"), 0, ctx.counts().failed)

    def conclude_attempts(self, ctx: LabContext) -> None:
        """Note the most attempts of an event by now."""
        ctx.conclude(("most attempts meanwhile", "期间最大 attempts"), ctx.counts().attempts_most)

    def expect_cause(self, ctx: LabContext, *words: str, within: float = 20.0) -> None:
        """Expect an event that waits to name the cause: each of these words in its error."""
        ctx.expect_soon(NAMED, lambda: self.causes(ctx, *words), within)
        if found := self.causes(ctx, *words):
            ctx.conclude(("an error of a row", "某行的 error"), found[0])

    def causes(self, ctx: LabContext, *words: str) -> list[str]:
        """The errors of events that wait which hold all of these words, in any case."""
        errors = [event.error or "" for event in ctx.events() if event.status == "pending"]
        return [error for error in errors if all(word.lower() in error.lower() for word in words)]

    def expect_unharmed(self, ctx: LabContext, *, attempts: int, turns: int) -> None:
        """Expect no event to have failed, none with more attempts, and /readyz to have turned no oftener."""
        counts = ctx.counts()
        ctx.expect(FAILED, 0, counts.failed)
        ctx.expect(MOST, f"at most {attempts}", counts.attempts_most, met=counts.attempts_most <= attempts)
        seen, looks = self.readiness.changes, self.readiness.looks
        ctx.note(LOOKED, "some", f"{looks}", LabVerdict.INCONCLUSIVE, met=bool(looks))
        ctx.expect(FLIPS, f"at most {turns}", seen, met=seen <= turns)
        ctx.conclude(LONGEST, f"{self.longest_pause(ctx):.1f} s")

    def longest_pause(self, ctx: LabContext) -> float:
        """The longest time between two samples that saw more events done, from the first fault on."""
        began = ctx.record.windows[0].began
        times, done = [began], -1
        for sample in list(ctx.record.samples):
            if sample.at >= began and sample.look.done > done:
                times.append(sample.at)
                done = sample.look.done
        return max((after - before for before, after in pairwise(times)), default=0.0)
