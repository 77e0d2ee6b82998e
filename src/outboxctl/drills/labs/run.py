"""Running labs side by side, each in a namespace of its own: its phases in order, and the verdict."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Thread

from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import brief
from outboxctl.drills.faults.guest import IMITATION
from outboxctl.drills.labs import invariants
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.evidence import EvidenceFolder
from outboxctl.drills.labs.experiment import FaultNotConfirmed, RunStopped
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import LabCheck, LabPhase, LabRun, LabSample, LabVerdict, Line, Record
from outboxctl.drills.labs.place import LabPlace

JOBS = 6  # labs side by side
SAMPLE_SECONDS = 0.25
NO_ERROR = "the lab ran without an error"
NEEDS = "what the lab needs is here"
NAMESPACE = "tables and an index of its own"


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
        elif lab.real_engine and self.place.versions["search"].startswith(IMITATION):
            why = "it needs a real search engine, and this is an imitation"
            _inconclusive(record, NEEDS, "a real search engine", "an imitation", why)
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
        """What the lab itself does in this phase, if anything."""
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
                _ran(ctx, LabPhase.CHECK, lambda: invariants.check(ctx))
    record.seconds = ctx.now
    _judge(lab, record)


def _ran(ctx: LabContext, phase: LabPhase, run: Callable[[], object]) -> bool:
    """Run a phase; whether it came to its end."""
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
