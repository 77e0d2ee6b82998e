"""What a lab is played on: a namespace with both ends, a fault proxy, workers, and a record of it all."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import UUID, uuid4

from outboxctl.chaos.proxy import Proxy
from outboxctl.core import inject, look, sessions, snapshot
from outboxctl.core.database import Database
from outboxctl.labs.model import Check, Filled, Line, Phase, Record, Snapshot, Verdict, Window, Words
from outboxctl.scratch.worker import WorkerProcess
from outboxctl.sink import index
from outboxctl.sink.client import connect
from outboxctl.wording import brief

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from outboxctl.core.look import Look
    from outboxctl.core.snapshot import EventRow
    from outboxctl.labs.place import Namespace

ENTITY_TYPE = "block"
PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 30.0
CONTROL_SECONDS = 2.0
TOGETHER = 500  # rows a transaction of a load
DELIVERED = Words("all events delivered, the worker ready", "所有事件已投递，worker 就绪")
RECOVERED = Words("the backlog is gone", "积压归零")
YES, NO = Words("yes", "是"), Words("no", "否")
READY = 200
T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - an order, not an error
    """The run is to end: whatever a lab waits for, it waits no longer."""


class Unlearned(Exception):  # noqa: N818 - a finding, not an error
    """There is nothing to learn from what would come next; the check that says why is in the record."""


class Scene:
    """One lab's surroundings; `record` is what is written down of it, `proxy` stands before the sink.

    `stop` ends every wait with Stopped. Without `faults` (a control run) nothing is broken, and the lab
    must notice that. `command` is the worker's, None for our own.
    """

    def __init__(
        self,
        namespace: "Namespace",
        record: Record,
        folder: Path,
        *,
        stop: Event,
        faults: bool = True,
        command: Sequence[str] | None = None,
    ) -> None:
        self.namespace, self.record, self.folder = namespace, record, folder
        self.settings = namespace.settings
        self.written = 0  # events
        self.workers: dict[str, WorkerProcess] = {}
        self.phase = Phase.PREPARE
        self.stop: Event | None = stop
        self._faults, self._command, self._began = faults, command, monotonic()
        self._undoing: list[tuple[int, Callable[[], object] | None]] = []
        with ExitStack() as stack:
            self.proxy = stack.enter_context(
                Proxy(namespace.elastic_url, ca_certs=self.settings.elastic_ca_certs)
            )
            self.database = Database(self.settings.require_database_url(), connections=4)
            stack.callback(self.database.close)
            self.client = connect(self.settings, timeout=30)
            stack.callback(self.client.close)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """End the workers, however they are, the proxy and our connections."""
        for each in self.workers.values():
            each.kill()
        self._stack.close()

    # What there is.

    @property
    def now(self) -> float:
        """Seconds since the lab began."""
        return round(monotonic() - self._began, 3)

    def look(self) -> "Look":
        """Where the events stand now."""
        seconds = self.settings.max_processing_seconds
        return self.transact(lambda connection: look.look(connection, max_processing=seconds))

    def events(self, ids: Sequence[str] | None = None) -> "list[EventRow]":
        """These events, or all, the oldest first."""
        return self.transact(lambda connection: look.events(connection, ids))

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all workers that run."""
        return sum(worker.metric(name, **labels) for worker in self.workers.values())

    def transact(self, what: "Callable[[Connection], T]") -> T:
        """What a function of `core` makes of one transaction."""
        with self.database.begin() as connection:
            return what(connection)

    def held(self) -> "list[EventRow]":
        """The events that workers hold, the oldest first."""
        return [event for event in self.events() if event.status == "processing"]

    def versions(self, entities: Sequence[UUID]) -> list[int | None]:
        """The version of each entity's document, None where there is none."""
        ids = [f"{ENTITY_TYPE}:{entity}" for entity in entities]
        found = self.indexed(ids)
        return [found[id_] for id_ in ids]

    def times_sent(self, entities: Sequence[UUID]) -> list[int]:
        """How often each entity was sent through the proxy, in the last 200 bulk requests."""
        sent = Counter(id_ for bulk in self.proxy.recent for id_ in bulk.ids)
        return [sent[f"{ENTITY_TYPE}:{entity}"] for entity in entities]

    def indexed(self, ids: Sequence[str]) -> dict[str, int | None]:
        """The version of each document by its id (`block:…`), None where there is none."""
        return index.versions(self.client, self.settings.elastic_index, ids)

    # What a lab does.

    def load(self, events: int, *, content: str = "text of a lab") -> list[UUID]:
        """Write so many rows, each with its event in the same transaction; returns the entities."""
        entities = [uuid4() for _ in range(events)]
        for start in range(0, events, TOGETHER):
            self.write(entities[start : start + TOGETHER], content=content)
        return entities

    def write(self, entities: Sequence[UUID], *, content: str | Sequence[str] = "text of a lab") -> None:
        """Write these rows, new ones or again, each with its event, in one transaction."""
        contents = [content] * len(entities) if isinstance(content, str) else content
        given: dict[str, Any] = {"entity_type": ENTITY_TYPE, "ids": entities, "contents": contents}
        self.transact(lambda c: inject.upserts(c, **given))
        self.written += len(entities)

    def delete(self, entities: Sequence[UUID]) -> None:
        """Delete these rows, each with its event, in one transaction."""
        self.transact(lambda c: inject.deletes(c, entity_type=ENTITY_TYPE, ids=entities))
        self.written += len(entities)

    def insert(self, *, op: str, entity: UUID | None = None, version: int = 0) -> str:
        """Insert one event alone, whatever its op; returns its id."""
        id_ = str(entity or uuid4())
        event = self.transact(
            lambda c: inject.event(c, entity_type=ENTITY_TYPE, entity_id=id_, op=op, version=version)
        )
        self.written += 1
        return event

    def terminate(self) -> int:
        """End all sessions in this database, a lab's private one; returns how many."""
        ended = self.transact(lambda connection: sessions.terminate(connection, everybody=True))
        self.database.close()  # ours were among them
        return ended

    def worker(self, name: str, *, direct: bool = False, **settings: str) -> WorkerProcess:
        """The worker of this name, not started yet; it sends through the proxy unless `direct`."""
        if name not in self.workers:
            log = self.folder / f"worker-{name}.log"
            environment = self.namespace.environment(
                OUTBOX_WORKER_ID=name,
                ELASTIC_URL=self.namespace.elastic_url if direct else self.proxy.url,
                **settings,
            )
            more = {"command": self._command} if self._command else {}
            self.workers[name] = WorkerProcess(environment, self.namespace.home, log, **more)
            self.record.logs.append(log.name)
        return self.workers[name]

    def fault(self, name: str, begin: Callable[[], T], undo: Callable[[], object] | None = None) -> T | None:
        """Break something: `begin` now, `undo` (if there is something to undo) at the latest in UNDO.

        In a control run nothing is done, and None returned.
        """
        if not self._faults:
            self.say(f"control run, left out: {name}")
            return None
        self.say(f"fault: {name}")
        self.record.windows.append(Window(name, self.now, None))
        self._undoing.append((len(self.record.windows) - 1, undo))
        return begin()

    def hold_up(self, name: str, point: Literal["before apply", "after apply"]) -> bool:
        """As a fault, have every bulk request wait there until it is undone; False in a control run."""
        block = ExitStack()
        return bool(self.fault(name, lambda: block.enter_context(self.proxy.hold(point)), block.close))

    def undo(self) -> None:
        """Undo every fault that is not undone yet, the last one first, each though another fails."""
        while self._undoing:
            number, undo = self._undoing.pop()
            window = self.record.windows[number]
            try:
                if undo:
                    undo()
                    self.say(f"undone: {window.fault}")
            except Exception as error:
                name = Words(f"undone: {window.fault}", f"已撤销：{window.fault}")
                self._check(name, "undone", brief(error, 300), Verdict.INCONCLUSIVE)
            self.record.windows[number] = Window(window.fault, window.began, self.now)

    # What a lab waits for, and what it makes of it.

    def wait(
        self,
        condition: Callable[[], T],
        within: float = PATIENCE_SECONDS,
        *,
        unless: Callable[[], object] = bool,
    ) -> T:
        """The first true value of `condition`, or its last one after `within` seconds. Stopped.

        Once `unless` is true, what has not come by then cannot come any more.
        """
        end = monotonic() + within
        while not (value := condition()) and monotonic() < end:
            if unless():
                return condition()
            self.pause(PAUSE_SECONDS)
        return value

    def pause(self, seconds: float) -> None:
        """Let time pass, where it is time itself that the lab is about. Stopped if the run is to end."""
        if self.stop is None:
            Event().wait(seconds)
        elif self.stop.wait(seconds):
            raise Stopped

    def steady(self, events: int, within: float = 2 * PATIENCE_SECONDS) -> None:
        """Wait for the steady state: so many events done, none under way, every worker ready. Unlearned."""
        well = self.wait(lambda: self._well(events), within)
        self._check(DELIVERED, f"{events} done, ready", self._standing(), Verdict.INCONCLUSIVE, met=well)
        if not well:
            raise Unlearned

    def took_hold(self, name: Words, condition: Callable[[], T], within: float = PATIENCE_SECONDS) -> T:
        """Wait until the fault can be seen at work; returns what was seen. Unlearned if it cannot.

        In a control run there is none to be seen, so it is not waited for long.
        """
        seen = self.wait(condition, within if self._faults else min(within, CONTROL_SECONDS))
        self._check(name, "seen", _told(seen), Verdict.INCONCLUSIVE, met=bool(seen))
        if not seen:
            raise Unlearned
        return seen

    def expect(self, name: Words, expected: object, seen: object, *, met: bool | None = None) -> bool:
        """Hold what was seen against the hypothesis; equal, unless `met` says so. False refutes it."""
        good = expected == seen if met is None else met
        self._check(name, str(expected), str(seen), Verdict.FAIL, met=good)
        return good

    def expect_soon(
        self,
        name: Words,
        condition: Callable[[], T],
        within: float = PATIENCE_SECONDS,
        *,
        unless: Callable[[], object] = bool,
    ) -> T:
        """Wait for what the hypothesis promises; False refutes it, and the lab goes on."""
        began = monotonic()
        seen = self.wait(condition, within, unless=unless)
        took = f"after {monotonic() - began:.1f} s" if seen else _told(seen)
        self._check(name, f"within {within:g} s", took, Verdict.FAIL, met=bool(seen))
        return seen

    def recovered(self, within: float = PATIENCE_SECONDS) -> bool:
        """Wait until no event is under way any more; if some are in the end, the lab has failed.

        Without a worker that lives there is nothing to wait for.
        """
        dead = not any(worker.running for worker in self.workers.values())
        return bool(self.expect_soon(RECOVERED, lambda: self.look().lag == 0, 0 if dead else within))

    def conclude(self, name: Words, value: object) -> None:
        """Fill in a field of the document's conclusion; a truth value becomes yes or no."""
        said = value if isinstance(value, Words) else Words(*[str(value)] * 2)
        said = (YES if value else NO) if isinstance(value, bool) else said
        self.record.conclusion.append(Filled(name, said.en, said.zh))

    def say(self, text: str) -> None:
        """Write down what was done or seen, with its second."""
        self.record.timeline.append(Line(self.now, brief(text, 300)))

    def snapshot(self, label: str) -> None:
        """Take the document's A, B and C, and what every worker's /metrics says."""
        seconds = self.settings.max_processing_seconds
        standing = self.transact(lambda c: snapshot.standing(c, max_processing=seconds, exact=True))
        metrics = {name: each.get("/metrics")[1] for name, each in self.workers.items() if each.running}
        self.record.snapshots.append(Snapshot(label, self.now, standing, metrics))

    def note(self, name: Words, expected: str, seen: str, verdict: Verdict) -> None:
        """A check that needs no waiting, with the verdict it leads to."""
        self.record.checks.append(Check(self.phase, name, expected, brief(seen, 300), verdict))

    def _check(self, name: Words, expected: str, seen: str, otherwise: Verdict, *, met: bool = False) -> None:
        self.note(name, expected, seen, Verdict.OK if met else otherwise)

    def _well(self, events: int) -> bool:
        now = self.look()
        ready = all(each.get("/readyz")[0] == READY for each in self.workers.values())
        return now.lag == 0 and now.done >= events and ready

    def _standing(self) -> str:
        now = self.look()
        return f"{now.pending} pending, {now.processing} processing, {now.done} done, {now.failed} failed"


def _told(seen: object) -> str:
    """What a person reads of a value that was waited for."""
    return "nothing" if seen is None or seen is False else "yes" if seen is True else str(seen)
