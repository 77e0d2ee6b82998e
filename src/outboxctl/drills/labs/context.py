"""What a lab works with: its tables and index, a fault proxy before the sink, and real worker processes."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from threading import Event
from typing import TYPE_CHECKING, Literal, TypeVar
from uuid import UUID, uuid4

from outboxctl.core.database import Database
from outboxctl.core.operator import inject
from outboxctl.core.stats import drill_snapshot, snapshot
from outboxctl.drills.labs.experiment import TIMEOUT_SECONDS, Experiment, FaultNotConfirmed
from outboxctl.drills.labs.model import LabVerdict, Record, Snapshot
from outboxctl.drills.proxy import Proxy, faults
from outboxctl.drills.scratch.worker import WorkerProcess
from outboxctl.drills.services import sockets
from outboxctl.sink.index import scanned
from outboxctl.sink.transport.open import connect, files

if TYPE_CHECKING:
    from outboxctl.core.database import Connection
    from outboxctl.core.stats.drill_snapshot import EventCounts
    from outboxctl.core.stats.snapshot import EventRow
    from outboxctl.drills.proxy.faults import ProxyFault
    from outboxctl.drills.proxy.server import Bulk
    from outboxctl.drills.scratch.settings import Namespace

ENTITY_TYPE = "block"
ROWS_A_TRANSACTION = 500
OK = 200  # HTTP
DELIVERED = "all events delivered, the worker ready"
RECOVERED = "the backlog is gone"
UNREACHABLE = "nothing listens where the worker sends"
PROCESSED = "processed, by the metric"
COUNTS: dict[str, str] = {
    "done": "events done",
    "failed": "events failed",
    "attempts": "claims of all events",
    "attempts_most": "most attempts",
}
T = TypeVar("T")


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
            first = self.settings.sink_urls[0]
            self.proxy = stack.enter_context(Proxy(first, files=files(self.settings)))
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
        """How many events are in each state now."""
        seconds = self.settings.max_processing_seconds
        return self.transact(lambda c: drill_snapshot.count_all(c, max_processing=seconds))

    def idle(self) -> bool:
        """Whether no event is pending or processing."""
        return self.counts().lag == 0

    def events(self, ids: Sequence[str] | None = None) -> "list[EventRow]":
        """These events, or all, the oldest first."""
        return self.transact(lambda c: drill_snapshot.events(c, ids))

    def held(self) -> "list[EventRow]":
        """The events in `processing`, the oldest first."""
        return [event for event in self.events() if event.status == "processing"]

    def owners(self) -> set[str | None]:
        """The ids of the workers that hold events."""
        return {event.owner for event in self.held()}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all running workers."""
        return sum(worker.metric(name, **labels) for worker in self.workers.values())

    def ready(self, *names: str) -> bool:
        """Whether /readyz of each of these workers answers 200."""
        return all(self.worker(name).get("/readyz")[0] == OK for name in names)

    def versions(self, entities: Sequence[UUID]) -> list[int | None]:
        """The version of each entity's document, None where there is none."""
        ids = [f"{ENTITY_TYPE}:{entity}" for entity in entities]
        versions = scanned.versions(self.client, self.settings.elastic_index, ids)
        return [versions[id_] for id_ in ids]

    def bulks_since(self, number: int) -> "list[Bulk]":
        """The bulk requests from this number on, of the last 200."""
        return [bulk for bulk in self.proxy.recent if bulk.number >= number]

    def times_sent(self, since: int = 0) -> Counter[str]:
        """How often each document was sent in the bulk requests from this number on, of the last 200."""
        return Counter(id_ for bulk in self.bulks_since(since) for id_ in bulk.ids)

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

    def delete(self, entities: Sequence[UUID]) -> None:
        """Delete these rows, each with its event, in one transaction."""
        self.transact(lambda c: inject.deletes(c, entity_type=ENTITY_TYPE, ids=entities))
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
        """The worker of this name, made but not started at first; `direct` bypasses the proxy."""
        if name not in self.workers:
            log = self.folder / f"worker-{name}.log"
            url = self.namespace.ends["ELASTIC_URL"] if direct else self.proxy.url
            own = {"OUTBOX_WORKER_ID": name, "ELASTIC_URL": url} | settings
            environment = self.namespace.environment(**own)
            command = {"command": self._command} if self._command else {}
            self.workers[name] = WorkerProcess(environment, self.namespace.home, log, **command)
            self.record.logs.append(log.name)
        return self.workers[name]

    def proxy_fault(self, name: str, fault: "ProxyFault") -> None:
        """Set a fault at the proxy until it is undone."""
        self.fault(name, lambda: self.proxy.set(fault), self.proxy.clear)

    def hold_up(self, name: str, point: Literal["before apply", "after apply"]) -> None:
        """As a fault, hold every bulk request at this point until undone."""
        block = ExitStack()
        self.fault(name, lambda: block.enter_context(self.proxy.hold(point)), block.close)

    def refuse_connections(self) -> str:
        """As a fault, refuse every connection to the sink until undone. Returns how. FaultNotConfirmed."""
        self.proxy_fault("every connection to the sink is refused", faults.refuse())
        self.confirm(UNREACHABLE, lambda: not sockets.get(self.proxy.url, seconds=1)[0], within=3)
        return "connections to ES refused (as with a wrong URL)"

    def freeze(self, name: str) -> None:
        """As a fault, stop the worker of this name by SIGSTOP until undone."""
        worker = self.worker(name)
        self.fault(f"SIGSTOP to worker {name}", lambda: worker.send(SIGSTOP), lambda: worker.send(SIGCONT))

    # Checks that many labs share.

    def expect_counts(self, **expected: int) -> "EventCounts":
        """Check fields of EventCounts by their names in COUNTS; returns all of them."""
        counts = self.counts()
        for name, value in expected.items():
            self.expect(COUNTS[name], value, getattr(counts, name))
        return counts

    def expect_processed(self) -> None:
        """Check that the running workers have counted each event once."""
        self.expect(PROCESSED, self.written, int(self.metric("outbox_processed_total")))

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
        """Record the document's A, B and C, and what each worker's /metrics returns."""
        seconds = self.settings.max_processing_seconds
        status = self.transact(lambda c: snapshot.pipeline_status(c, max_processing=seconds))
        metrics = {name: each.get("/metrics")[1] for name, each in self.workers.items() if each.running}
        self.record.snapshots.append(Snapshot(label, self.now, status, metrics))

    def _all_ended(self) -> bool:
        return not any(worker.running for worker in self.workers.values())

    def _steady(self, events: int) -> bool:
        now = self.counts()
        return now.lag == 0 and now.done >= events and self.ready(*self.workers)
