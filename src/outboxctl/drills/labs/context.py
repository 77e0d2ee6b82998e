"""What a lab is written with: checks, waits and faults, its own tables, index and proxy, and real workers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar
from uuid import UUID, uuid4

from outboxctl.core.database import Database
from outboxctl.core.operator import inject
from outboxctl.core.stats import drill_snapshot, snapshot
from outboxctl.domain.printable import brief
from outboxctl.drills.labs.model import LabCheck, LabPhase, LabVerdict, Line, Record, Snapshot, Window
from outboxctl.drills.proxy import Proxy, faults
from outboxctl.drills.scratch import WorkerProcess
from outboxctl.drills.services import sockets
from outboxctl.sink.index import scanned
from outboxctl.sink.transport.open import connect, files

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.core.stats.drill_snapshot import EventCounts
    from outboxctl.core.stats.snapshot import EventRow
    from outboxctl.drills.scratch import Namespace

ENTITY_TYPE = "block"
ROWS_A_TRANSACTION = 500
POLL_SECONDS = 0.05
TIMEOUT_SECONDS = 30.0
MAX_SERIES = 1_000  # of one worker in a snapshot; another build may have any number
OK = 200  # HTTP
DELIVERED = "all events delivered, the worker ready"
RECOVERED = "the backlog is gone"
UNREACHABLE = "nothing listens where the worker sends"
REFUSED = "every connection to the sink is refused"
Test = Callable[[], object]
Steps = Iterator[LabPhase]
T = TypeVar("T")


class RunStopped(Exception):  # noqa: N818 - an order, not an error
    """The run is to end: raised by every wait."""


class FaultNotConfirmed(Exception):  # noqa: N818 - a result, not an error
    """The later phases would show nothing; the check that says why is in the record."""


class Experiment:
    """One run of one lab, recorded in `record` as it goes; `stop` ends every wait with RunStopped."""

    def __init__(self, record: Record, *, stop: Event) -> None:
        self.record, self.phase, self.stop = record, LabPhase.PREPARE, stop
        self._started = monotonic()
        self._undoing: list[tuple[int, Callable[[], object] | None]] = []

    @property
    def now(self) -> float:
        """Seconds since the lab began."""
        return round(monotonic() - self._started, 3)

    def fault(self, name: str, begin: Callable[[], T], undo: Callable[[], object] | None = None) -> T:
        """Inject a fault with `begin` now; `undo` is called in UNDO at the latest."""
        self.log(f"fault: {name}")
        self.record.windows.append(Window(name, self.now, None))
        self._undoing.append((len(self.record.windows) - 1, undo))
        return begin()

    def undo(self) -> None:
        """Undo every fault that still lasts, the last one first, even if another cannot be undone."""
        while self._undoing:
            number, undo = self._undoing.pop()
            window = self.record.windows[number]
            try:
                if undo:
                    undo()
                    self.log(f"undone: {window.fault}")
            except Exception as error:
                name = f"undone: {window.fault}"
                self.note(name, "undone", str(error), LabVerdict.INCONCLUSIVE)
            self.record.windows[number] = Window(window.fault, window.began, self.now)

    def wait(self, condition: Callable[[], T], within: float = TIMEOUT_SECONDS, *, unless: Test = bool) -> T:
        """Return the first true `condition`, or the last one at the end or once `unless`. RunStopped."""
        end = monotonic() + within
        while not (value := condition()) and monotonic() < end:
            if unless():
                return condition()
            self.pause(POLL_SECONDS)
        return value

    def pause(self, seconds: float) -> None:
        """Sleep. RunStopped if the run is to end."""
        if self.stop.wait(seconds):
            raise RunStopped

    def confirm(self, name: str, condition: Callable[[], T], within: float = TIMEOUT_SECONDS) -> T:
        """Wait until the effect of the fault can be observed, and return it; else FaultNotConfirmed."""
        observed = self.wait(condition, within)
        self.note(name, "seen", _readable(observed), LabVerdict.INCONCLUSIVE, met=bool(observed))
        if not observed:
            raise FaultNotConfirmed
        return observed

    def expect(self, name: str, expected: object, observed: object, *, met: bool | None = None) -> bool:
        """Check a part of the hypothesis: both are equal, unless `met` says so. False refutes it."""
        holds = expected == observed if met is None else met
        self.note(name, _plain(expected), _plain(observed), LabVerdict.FAIL, met=holds)
        return holds

    def expect_soon(
        self, name: str, condition: Callable[[], T], within: float = TIMEOUT_SECONDS, *, unless: Test = bool
    ) -> T:
        """Wait for what the hypothesis predicts; a false value refutes it, and the lab goes on."""
        started = monotonic()
        observed = self.wait(condition, within, unless=unless)
        took = f"after {monotonic() - started:.1f} s" if observed else _readable(observed)
        self.note(name, f"within {within:g} s", took, LabVerdict.FAIL, met=bool(observed))
        return observed

    def conclude(self, name: str, value: object) -> None:
        """Fill in a field of the conclusion."""
        self.record.conclusion[name] = _plain(value)

    def log(self, text: str) -> None:
        """Add a line to the timeline."""
        self.record.timeline.append(Line(self.now, brief(text, 300)))

    def note(
        self, name: str, expected: str, observed: str, otherwise: LabVerdict, *, met: bool = False
    ) -> None:
        """Record a check: OK if it is met, else `otherwise`."""
        verdict = LabVerdict.OK if met else otherwise
        check = LabCheck(self.phase, name, expected, brief(observed, 300), verdict)
        self.record.checks.append(check)


class LabContext(Experiment):
    """An experiment with its servers and workers, which log in `folder`; `proxy` is before the sink."""

    def __init__(
        self,
        namespace: "Namespace",
        record: Record,
        folder: Path,
        stop: Event,
        command: Sequence[str] | None = None,
    ) -> None:
        super().__init__(record, stop=stop)
        self.namespace, self.folder, self._command = namespace, folder, command
        self.settings = namespace.settings
        self.written = 0  # events
        self.workers: dict[str, WorkerProcess] = {}
        with ExitStack() as stack:
            self.proxy = stack.enter_context(Proxy(self.settings.sink_urls[0], files=files(self.settings)))
            self.database = Database(self.settings.require_database_url(), connections=4)
            stack.callback(self.database.close)
            self.client = connect(self.settings, timeout=30)
            stack.callback(self.client.close)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Kill the workers, and close the proxy and all connections."""
        for each in self.workers.values():
            each.kill()
        self._stack.close()

    # Reading.

    def transact(self, function: "Callable[[Connection], T]") -> T:
        """Call a function of `core` in a transaction of its own."""
        with self.database.begin() as connection:
            return function(connection)

    def counts(self) -> "EventCounts":
        """Return how many events are in each state now."""
        seconds = self.settings.max_processing_seconds
        return self.transact(lambda c: drill_snapshot.count_all(c, max_processing=seconds))

    def idle(self) -> bool:
        """Return whether no event is pending or processing."""
        return self.counts().lag == 0

    def events(self, ids: Sequence[str] | None = None) -> "list[EventRow]":
        """Return these events, or all, the oldest first."""
        return self.transact(lambda c: drill_snapshot.events(c, ids))

    def held(self) -> "list[EventRow]":
        """Return the events in `processing`, the oldest first."""
        return [event for event in self.events() if event.status == "processing"]

    def owners(self) -> set[str | None]:
        """Return the ids of the workers that hold events."""
        return {event.owner for event in self.held()}

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over all running workers."""
        return sum(worker.metric(name, **labels) for worker in self.workers.values())

    def ready(self, *names: str) -> bool:
        """Return whether /readyz of each of these workers answers 200."""
        return all(self.worker(name).get("/readyz")[0] == OK for name in names)

    def versions(self, entities: Sequence[UUID]) -> list[int | None]:
        """Return the version of each entity's document, None if there is none."""
        ids = [f"{ENTITY_TYPE}:{entity}" for entity in entities]
        versions = scanned.versions(self.client, self.settings.elastic_index, ids)
        return [versions[id_] for id_ in ids]

    # Writing.

    def load(self, events: int, *, content: str = "text of a lab") -> list[UUID]:
        """Insert so many rows, each with its event in the same transaction; returns the entities."""
        entities = [uuid4() for _ in range(events)]
        for start in range(0, events, ROWS_A_TRANSACTION):
            self.write(entities[start : start + ROWS_A_TRANSACTION], content=content)
        return entities

    def write(self, entities: Sequence[UUID], *, content: str | Sequence[str] = "text of a lab") -> None:
        """Insert or update these rows, each with its event, in one transaction."""
        contents = [content] * len(entities) if isinstance(content, str) else content
        self.transact(lambda c: inject.upserts(c, entity_type=ENTITY_TYPE, ids=entities, contents=contents))
        self.written += len(entities)

    def insert(self, *, op: str, beside: int = 0) -> str:
        """Insert one event with any op, in one transaction with `beside` valid ones; returns its id."""
        valid, texts = [uuid4() for _ in range(beside)], ["text of a neighbour"] * beside

        def together(connection: "Connection") -> str:
            event = inject.event(
                connection, entity_type=ENTITY_TYPE, entity_id=str(uuid4()), op=op, version=0
            )
            inject.upserts(connection, entity_type=ENTITY_TYPE, ids=valid, contents=texts)
            return event

        event = self.transact(together)
        self.written += 1 + beside
        return event

    def worker(self, name: str, *, direct: bool = False, **settings: str) -> WorkerProcess:
        """Return the worker of this name, made but not started at first; `direct` bypasses the proxy."""
        if name not in self.workers:
            log = self.folder / f"worker-{name}.log"
            url = self.namespace.ends["ELASTIC_URL"] if direct else self.proxy.url
            own = {"OUTBOX_WORKER_ID": name, "ELASTIC_URL": url} | settings
            environment = self.namespace.environment(**own)
            command = {"command": self._command} if self._command else {}
            self.workers[name] = WorkerProcess(environment, self.namespace.home, log, **command)
            self.record.logs.append(log.name)
        return self.workers[name]

    def hold_up(self, name: str, point: Literal["before apply", "after apply"]) -> None:
        """Hold, as a fault, every bulk request at this point until undone."""
        block = ExitStack()
        self.fault(name, lambda: block.enter_context(self.proxy.hold(point)), block.close)

    def refuse_connections(self) -> str:
        """Refuse, as a fault, every connection to the sink until undone; return how. FaultNotConfirmed."""
        self.fault(REFUSED, lambda: self.proxy.set(faults.refuse()), self.proxy.clear)
        self.confirm(UNREACHABLE, lambda: not sockets.get(self.proxy.url, seconds=1)[0], within=3)
        return "connections to ES refused (as with a wrong URL)"

    def freeze(self, name: str) -> None:
        """Stop, as a fault, the worker of this name by SIGSTOP until undone."""
        worker = self.worker(name)
        self.fault(f"SIGSTOP to worker {name}", lambda: worker.send(SIGSTOP), lambda: worker.send(SIGCONT))

    # Checks that many labs share.

    def expect_all_done(self) -> None:
        """Check that every event that was written is done."""
        self.expect("events done", self.written, self.counts().done)

    def expect_steady(self, events: int, within: float = 2 * TIMEOUT_SECONDS) -> None:
        """Wait until so many events are done, none is left, every worker ready. FaultNotConfirmed."""
        steady = self.wait(lambda: self._steady(events), within, unless=self._all_ended)
        now = self.counts()
        text = f"{now.pending} pending, {now.processing} processing, {now.done} done, {now.failed} failed"
        self.note(DELIVERED, f"{events} done, ready", text, LabVerdict.INCONCLUSIVE, met=steady)
        if not steady:
            raise FaultNotConfirmed

    def expect_recovered(self, within: float = TIMEOUT_SECONDS) -> bool:
        """Wait until no event is left, or no worker runs; FAIL if events are left."""
        return self.expect_soon(RECOVERED, self.idle, within, unless=self._all_ended)

    def snapshot(self, label: str) -> None:
        """Record the document's queries A, B and C, and the metrics of each worker that are not 0."""
        seconds = self.settings.max_processing_seconds
        status = self.transact(lambda c: snapshot.pipeline_status(c, max_processing=seconds))
        metrics = {name: _series(each.get("/metrics")[1]) for name, each in self.workers.items()}
        self.record.snapshots.append(Snapshot(label, self.now, status, metrics))

    def _all_ended(self) -> bool:
        return not any(worker.running for worker in self.workers.values())

    def _steady(self, events: int) -> bool:
        now = self.counts()
        return now.lag == 0 and now.done >= events and self.ready(*self.workers)


class Lab:
    """A drill: a subclass sets the texts, and says in `experiment` what is done.

    Texts are English; `messages.zh.toml` has their Chinese. `number` is that of the lab document, None for
    other labs. `settings` are environment variables in place of the defaults. `seconds` is how long it
    usually takes. `by_hand` are the commands by which a person does the same. `judged` is the last line of
    the document's conclusion, before the verdict. `prepare` writes `events` rows.
    """

    name: ClassVar[str]
    number: ClassVar[int | None] = None
    title: ClassVar[str]
    question: ClassVar[str]
    hypothesis: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {}
    events: ClassVar[int] = 200
    seconds: ClassVar[float] = 10.0
    by_hand: ClassVar[tuple[str, ...]] = ()
    judged: ClassVar[str] = ""

    def prepare(self, ctx: LabContext) -> None:
        """Write `events` rows and start a worker."""
        ctx.load(self.events)
        ctx.worker("w1").start()

    def experiment(self, ctx: LabContext) -> Steps:
        """Inject the fault (`ctx.fault`), and make sure of its effect (`ctx.confirm`).

        What follows `yield OBSERVE` is done while the fault lasts; all faults are undone after it. What
        follows `yield RECOVER` replaces the wait until no event is left. What follows `yield CHECK` is the
        last: `ctx.expect`, `ctx.conclude`.
        """
        raise NotImplementedError


def _series(page: str) -> list[str]:
    """Return the lines of a page of /metrics whose value is not 0, without buckets and creation times."""
    lines = (line for line in page.splitlines() if line.startswith("outbox_") and not line.endswith(" 0.0"))
    return [line for line in lines if "_bucket{" not in line and "_created" not in line][:MAX_SERIES]


def _readable(observed: object) -> str:
    return "nothing" if observed is None or observed is False else _plain(observed)


def _plain(value: object) -> str:
    """A value in words, not as Python prints it."""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
