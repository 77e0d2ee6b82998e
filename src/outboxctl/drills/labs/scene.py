"""What a lab is played on: a namespace with both ends, a fault proxy, and workers."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal, TypeVar
from uuid import UUID, uuid4

from outboxctl.core import sessions
from outboxctl.core.database import Database
from outboxctl.core.operator import inject
from outboxctl.core.stats import drill_snapshot as look
from outboxctl.core.stats import snapshot
from outboxctl.drills.labs.experiment import PATIENCE_SECONDS, Experiment, Unlearned
from outboxctl.drills.labs.model import BilingualText, LabVerdict, Record, Snapshot
from outboxctl.drills.proxy import Proxy
from outboxctl.drills.scratch.worker import WorkerProcess
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.credentials import passing_on
from outboxctl.sink.transport.open import connect

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.core.stats.drill_snapshot import EventCounts
    from outboxctl.core.stats.snapshot import EventRow
    from outboxctl.drills.labs.namespace import Namespace

ENTITY_TYPE = "block"
TOGETHER = 500  # rows a transaction of a load
DELIVERED = BilingualText("all events delivered, the worker ready", "所有事件已投递，worker 就绪")
RECOVERED = BilingualText("the backlog is gone", "积压归零")
READY = 200
T = TypeVar("T")


class Scene(Experiment):
    """An experiment with its surroundings; `proxy` stands before the sink.

    `folder` is for the workers' logs. `command` is the worker's, None for our own.
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
        super().__init__(record, stop=stop, faults=faults)
        self.namespace, self.folder, self._command = namespace, folder, command
        self.settings = namespace.settings
        self.written = 0  # events
        self.workers: dict[str, WorkerProcess] = {}
        with ExitStack() as stack:
            self.proxy = stack.enter_context(Proxy(namespace.elastic_url, files=passing_on(self.settings)))
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

    def look(self) -> "EventCounts":
        """Where the events stand now."""
        seconds = self.settings.max_processing_seconds
        return self.transact(lambda connection: look.count_all(connection, max_processing=seconds))

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
        return index_setup.versions(self.client, self.settings.elastic_index, ids)

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
        self.transact(lambda connection: self._upsert(connection, entities, contents))
        self.written += len(entities)

    def delete(self, entities: Sequence[UUID]) -> None:
        """Delete these rows, each with its event, in one transaction."""
        self.transact(lambda c: inject.deletes(c, entity_type=ENTITY_TYPE, ids=entities))
        self.written += len(entities)

    def insert(self, *, op: str, entity: UUID | None = None, version: int = 0, beside: int = 0) -> str:
        """Insert one event, whatever its op, in one transaction with so many good ones; returns its id."""
        given = {"entity_type": ENTITY_TYPE, "entity_id": str(entity or uuid4()), "op": op}
        good = [uuid4() for _ in range(beside)]

        def together(connection: "Connection") -> str:
            event = inject.event(connection, version=version, **given)
            self._upsert(connection, good, ["text of a neighbour"] * beside)
            return event

        event = self.transact(together)
        self.written += 1 + beside
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

    def hold_up(self, name: str, point: Literal["before apply", "after apply"]) -> bool:
        """As a fault, have every bulk request wait there until it is undone; False in a control run."""
        block = ExitStack()
        return bool(self.fault(name, lambda: block.enter_context(self.proxy.hold(point)), block.close))

    # What every lab waits for, and writes down.

    def steady(self, events: int, within: float = 2 * PATIENCE_SECONDS) -> None:
        """Wait for the steady state: so many events done, none under way, every worker ready. Unlearned."""
        well = self.wait(lambda: self._is_steady(events), within, unless=self._dead)
        self._check(
            DELIVERED, f"{events} done, ready", self._status_text(), LabVerdict.INCONCLUSIVE, met=well
        )
        if not well:
            raise Unlearned

    def recovered(self, within: float = PATIENCE_SECONDS) -> bool:
        """Wait until no event is under way any more; if some are in the end, the lab has failed.

        Without a worker that lives there is nothing to wait for.
        """
        return bool(self.expect_soon(RECOVERED, lambda: self.look().lag == 0, within, unless=self._dead))

    def snapshot(self, label: str) -> None:
        """Take the document's A, B and C, and what every worker's /metrics says."""
        seconds = self.settings.max_processing_seconds
        standing = self.transact(lambda c: snapshot.pipeline_status(c, max_processing=seconds, exact=True))
        metrics = {name: each.get("/metrics")[1] for name, each in self.workers.items() if each.running}
        self.record.snapshots.append(Snapshot(label, self.now, standing, metrics))

    def _upsert(self, connection: "Connection", entities: Sequence[UUID], contents: Sequence[str]) -> None:
        inject.upserts(connection, entity_type=ENTITY_TYPE, ids=entities, contents=contents)

    def _dead(self) -> bool:
        return not any(worker.running for worker in self.workers.values())

    def _is_steady(self, events: int) -> bool:
        now = self.look()
        ready = all(each.get("/readyz")[0] == READY for each in self.workers.values())
        return now.lag == 0 and now.done >= events and ready

    def _status_text(self) -> str:
        now = self.look()
        return f"{now.pending} pending, {now.processing} processing, {now.done} done, {now.failed} failed"
