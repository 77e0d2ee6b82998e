"""Running labs side by side, each in a schema and an index of its own: phases in order, and a verdict."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

from outboxctl.core.schema import namespaces
from outboxctl.core.stats import drill_snapshot
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import brief
from outboxctl.drills import services
from outboxctl.drills.faults import guest
from outboxctl.drills.faults.ledger import Ledger
from outboxctl.drills.labs.context import FaultNotConfirmed, Lab, LabContext, RunStopped
from outboxctl.drills.labs.evidence import EvidenceFolder
from outboxctl.drills.labs.model import LabCheck, LabPhase, LabRun, LabSample, LabVerdict, Line, Record
from outboxctl.drills.scratch import Namespace, fixed
from outboxctl.drills.services.model import Say, SearchWish
from outboxctl.net.urls import without_credentials
from outboxctl.settings import Settings
from outboxctl.sink.index import scanned

JOBS = 6  # labs side by side
SAMPLE_SECONDS = 0.25
DOCUMENTS_A_REQUEST = 1_000
NO_ERROR = "the lab ran without an error"
NAMESPACE = "tables and an index of its own"
# What must hold in every state (`failures.md`): each lab ends with these checks.
NOT_LOST = "no event is lost"
NOT_HELD = "no event at rest has an owner or a lease"
ATTEMPTS = "attempts never exceed the limit"
DELIVERED = "what is done is in the index, or gone from the source"
NONE_ENDED = "workers that ended by themselves"
NO_TRACEBACK = "no traceback in a worker's log"


class LabPlace:
    """The database and the sink of `settings`, where each lab makes a schema and an index; workers run here.

    Nothing else is touched there. `home` is the folder of the workers, `overrides` are environment variables
    that replace every lab's settings, `state` is the state folder of the ledger.
    """

    def __init__(
        self,
        settings: Settings,
        home: Path,
        overrides: Mapping[str, str],
        state: Path | None = None,
    ) -> None:
        self.settings = settings
        self._home, self._overrides, self._state = home, overrides, state
        self._mark = uuid4().hex[:6]  # of this run

    @cached_property
    def versions(self) -> dict[str, str]:
        """Products and versions of both servers, by role (`postgres`, `search`). UnreachableError."""
        return guest.versions(self.settings)

    def names(self, lab: type[Lab]) -> guest.GuestNames:
        """The names of a lab's schema and index."""
        return guest.names(f"lab-{lab.name}", self.settings.elastic_index, self._mark)

    @contextmanager
    def namespace(self, lab: type[Lab]) -> Iterator[Namespace]:
        """The schema and the index of a lab, both in the ledger while they exist."""
        settings, names = self.settings, self.names(lab)
        with Ledger(settings, self._state).holding(*guest.planned(settings, names, "a lab")):
            ends = {
                "DATABASE_URL": namespaces.in_schema(settings.require_database_url(), names.schema),
                # Without credentials: the proxy before the sink would lend them to any client of its own.
                "ELASTIC_URL": without_credentials(settings.sink_urls[0]),
                "ELASTIC_INDEX": names.index,
                **guest.sink_credentials(settings),
            }
            made = Namespace(ends, {**lab.settings, **self._overrides}, self._overrides, self._home)
            guest.furnish(made.settings, settings.environment)
            yield made


def own_place(folder: Path, search: SearchWish, overrides: Mapping[str, str], say: Say) -> LabPlace:
    """Start services of our own in a run's folder, with which they end."""
    both = services.up(folder, search=search, fresh_ports=True, fast=True, say=say)
    ends = {"database_url": both.postgres.url, "elastic_url": both.search.url, "elastic_index": "outbox"}
    return LabPlace(fixed(ends), folder, overrides, folder)


@dataclass(frozen=True)
class Runner:
    """Runs labs at a place, and writes the evidence of each as it ends; `say` gets a line about each.

    `command` replaces our worker. Once `stop` is set, running labs undo their faults and end, and no other
    begins.
    """

    place: LabPlace
    evidence: EvidenceFolder
    say: Callable[[str], object]
    command: Sequence[str] | None = None
    stop: Event = field(default_factory=Event)

    def run(self, labs: Sequence[type[Lab]]) -> LabRun:
        """Run labs, in this order as far as there are JOBS.

        A KeyboardInterrupt sets `stop`. UnreachableError, UsageError.
        """
        versions = self.place.versions
        self.evidence.begin([lab.name for lab in labs])
        pool = ThreadPoolExecutor(JOBS, thread_name_prefix="lab")
        futures = [pool.submit(self._one, lab) for lab in labs]
        try:
            wait(futures)
        except KeyboardInterrupt:
            self.stop.set()
            self.say("Ending: faults are undone, evidence is kept.")
            wait(futures)
        pool.shutdown()
        for future in futures:
            future.result()
        return self.evidence.finish(versions)

    def _one(self, lab: type[Lab]) -> None:
        record = Record(lab.name, datetime.now(UTC).isoformat(timespec="seconds"))
        if self.stop.is_set():
            record.interrupted, record.why = LabPhase.PREPARE, "interrupted before it began"
        else:
            self.say(f"{lab.name}: begins, about {lab.seconds:g} s")
            self._play(lab, record)
        self.say(f"{record.lab}: {record.verdict} after {record.seconds:.1f} s")
        self.evidence.add(record)

    def _play(self, lab: type[Lab], record: Record) -> None:
        folder = self.evidence.path / lab.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self.place.namespace(lab) as namespace:
                record.settings = dict(namespace.shown)
                with closing(LabContext(namespace, record, folder, self.stop, self.command)) as ctx:
                    play(lab(), ctx)
        except Exception as error:  # of one lab: the others go on
            text = str(error) if isinstance(error, OutboxctlError) else f"{type(error).__name__}: {error}"
            why = f"its tables and index could not be made, or not removed: {brief(text, 300)}"
            _inconclusive(record, NAMESPACE, "made, and gone in the end", text, why)


def _inconclusive(record: Record, name: str, expected: str, observed: str, why: str) -> None:
    """Record that the lab could not begin, or not end; a FAIL stays."""
    verdict = LabVerdict.INCONCLUSIVE
    record.checks.append(LabCheck(LabPhase.PREPARE, name, expected, brief(observed, 300), verdict))
    if record.verdict is not LabVerdict.FAIL:
        record.verdict, record.why = verdict, why


def play(lab: Lab, ctx: LabContext) -> None:
    """Run all phases into the context's record; UNDO runs whatever happened, whole despite `stop`."""
    record, steps, upcoming = ctx.record, lab.experiment(ctx), LabPhase.INJECT

    def part(phase: LabPhase) -> bool:
        """Run what the lab itself does in this phase; return whether it does anything."""
        nonlocal upcoming
        if mine := upcoming is phase:
            upcoming = next(steps, phase)
        return mine

    def observe() -> None:
        part(LabPhase.OBSERVE)
        ctx.snapshot("B")

    def steady() -> None:
        ctx.expect_steady(lab.events)
        ctx.snapshot("A")

    with closing(Sampler(ctx)):
        began = _ran(ctx, LabPhase.PREPARE, lambda: lab.prepare(ctx)) and _ran(ctx, LabPhase.STEADY, steady)
        injected = began and _ran(ctx, LabPhase.INJECT, lambda: part(LabPhase.INJECT))
        observed = injected and _ran(ctx, LabPhase.OBSERVE, observe)
        stop, ctx.stop = ctx.stop, Event()
        _ran(ctx, LabPhase.UNDO, ctx.undo)
        ctx.stop = stop
        # RECOVER and the invariants come even if the fault was not confirmed; CHECK after both. But not after
        # `stop`: what there was no time for is not refuted.
        if began and not record.interrupted:
            recovered = _ran(ctx, LabPhase.RECOVER, lambda: part(LabPhase.RECOVER) or ctx.expect_recovered())
            if observed and recovered and not record.interrupted:
                _ran(ctx, LabPhase.CHECK, lambda: part(LabPhase.CHECK))
            if not record.interrupted:
                _ran(ctx, LabPhase.CHECK, lambda: _check_invariants(ctx))
    record.seconds = ctx.now
    _judge(lab, record)


def _ran(ctx: LabContext, phase: LabPhase, run: Callable[[], object]) -> bool:
    """Run a phase; return whether it came to its end."""
    ctx.phase = phase
    ctx.record.timeline.append(Line(ctx.now, phase, phase=True))
    try:
        run()
    except FaultNotConfirmed:
        return False
    except RunStopped:
        ctx.record.interrupted = phase
        return False
    except Exception as error:
        ctx.note(NO_ERROR, "no error", f"{type(error).__name__}: {error}", LabVerdict.INCONCLUSIVE)
        return False
    return True


def _judge(lab: Lab, record: Record) -> None:
    """The worst verdict of all checks; an interrupted run is at best INCONCLUSIVE."""
    interrupted = [LabVerdict.INCONCLUSIVE] if record.interrupted else []
    record.verdict = LabVerdict.worst([*(check.verdict for check in record.checks), *interrupted])
    if record.interrupted:
        record.why = f"interrupted in phase {record.interrupted}"
    elif record.unmet:
        broken = record.unmet[0]
        record.why = f"{broken.name}: expected {broken.expected}, seen {broken.seen}"
    if lab.judged:
        record.conclusion["verdict"] = f"{lab.judged} {record.verdict}"


def _check_invariants(ctx: LabContext) -> None:
    """Take snapshot C, and add a check for each; one that does not hold is a FAIL."""
    ctx.snapshot("C")
    counts, most = ctx.counts(), ctx.settings.max_attempts
    ctx.expect(NOT_LOST, f"{ctx.written} events", f"{counts.total} events")
    ctx.expect(NOT_HELD, 0, counts.half_held)
    ctx.expect(ATTEMPTS, f"at most {most}", counts.attempts_most, met=counts.attempts_most <= most)
    missing = list(_missing(ctx))
    example = f", such as {missing[0]}" if missing else ""
    ctx.expect(DELIVERED, "0 are not", f"{len(missing)} are not{example}", met=not missing)
    logged = [name for name, worker in ctx.workers.items() if _erred(worker.log_text())]
    ctx.expect(NO_TRACEBACK, "none", ", ".join(logged) or "none")
    ended = [f"{name} with {code}" for name, worker in ctx.workers.items() for code in worker.deaths]
    ctx.expect(NONE_ENDED, "none", ", ".join(ended) or "none")


def _erred(log: str) -> bool:
    """Whether a worker logged an error that no rule expects; another build may log it without a traceback."""
    return "Traceback" in log or "unexpected error" in log


def _missing(ctx: LabContext) -> Iterator[str]:
    """Documents older than a done event, or absent although their row exists."""
    entities = ctx.transact(drill_snapshot.done)
    for start in range(0, len(entities), DOCUMENTS_A_REQUEST):
        some = entities[start : start + DOCUMENTS_A_REQUEST]
        versions = scanned.versions(ctx.client, ctx.settings.elastic_index, [each.id for each in some])
        for entity in some:
            version = versions[entity.id]
            deleted = entity.source_version is None
            if not (deleted if version is None else version >= entity.event_version):
                yield entity.id


class Sampler:
    """Counts the events several times a second, while the database answers, until `close`."""

    def __init__(self, ctx: LabContext) -> None:
        self._ctx, self._closed = ctx, Event()
        self._thread = Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and take the last sample."""
        self._closed.set()
        self._thread.join()
        self._sample()

    def _run(self) -> None:
        while not self._closed.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with suppress(OutboxctlError):  # the database is away
            self._ctx.record.samples.append(LabSample(self._ctx.now, self._ctx.counts()))
