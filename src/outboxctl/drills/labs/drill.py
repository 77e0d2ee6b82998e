"""One run of one lab: its phases in order, samples meanwhile, faults always undone, and the verdict."""

from collections.abc import Callable
from contextlib import closing
from threading import Event, Thread

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.labs import invariants
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.experiment import FaultNotConfirmed, RunStopped
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import LabPhase, LabSample, LabVerdict, Timed

SAMPLE_SECONDS = 0.25
NO_ERROR, SAMPLED = "the lab ran without an error", "sampling went on"


def play(lab: Lab, ctx: LabContext) -> None:
    """Run all phases; every result is in the context's record.

    UNDO runs whatever happened before, and is not cut short by `stop`.
    """
    record = ctx.record
    with closing(Sampler(ctx)):
        steady = _ran(ctx, LabPhase.PREPARE, lab.prepare) and _ran(ctx, LabPhase.STEADY, lab.steady, "A")
        injected = steady and _ran(ctx, LabPhase.INJECT, lab.inject)
        observed = injected and _ran(ctx, LabPhase.OBSERVE, lab.observe, "B")
        stop, ctx.stop = ctx.stop, None
        _ran(ctx, LabPhase.UNDO, lab.undo)
        ctx.stop = stop
        # RECOVER and the invariants come even if the fault was not confirmed; CHECK after both. But not after
        # `stop`: what there was no time for is not refuted.
        if steady and not record.interrupted:
            recovered = _ran(ctx, LabPhase.RECOVER, lab.recover)
            if observed and recovered and not record.interrupted:
                _ran(ctx, LabPhase.CHECK, lab.check)
            if not record.interrupted:
                _ran(ctx, LabPhase.CHECK, _check_invariants)
    record.seconds = ctx.now
    _judge(lab, ctx)


def _check_invariants(ctx: LabContext) -> None:
    ctx.snapshot("C")
    invariants.check(ctx)


def _ran(ctx: LabContext, phase: LabPhase, run: Callable[[LabContext], None], snapshot: str = "") -> bool:
    """Run a phase, and take a snapshot with this label after it; whether it came to its end."""
    ctx.phase, began = phase, ctx.now
    try:
        run(ctx)
        if snapshot:
            ctx.snapshot(snapshot)
    except FaultNotConfirmed:
        return False
    except RunStopped:
        ctx.record.interrupted = phase
        return False
    except Exception as error:
        ctx.note(NO_ERROR, "no error", f"{type(error).__name__}: {error}", LabVerdict.INCONCLUSIVE)
        return False
    finally:
        ctx.record.phases.append(Timed(phase, began, round(ctx.now - began, 3)))
    return True


def _judge(lab: Lab, ctx: LabContext) -> None:
    """The worst verdict of all checks; an interrupted run is at best INCONCLUSIVE."""
    record = ctx.record
    interrupted = [LabVerdict.INCONCLUSIVE] if record.interrupted else []
    record.verdict = LabVerdict.worst([*(check.verdict for check in record.checks), *interrupted])
    broken = next((check for check in record.checks if check.verdict is record.verdict), None)
    if record.interrupted:
        record.why = f"interrupted in phase {record.interrupted}"
    elif broken and record.verdict is not LabVerdict.OK:
        record.why = f"{broken.name}: expected {broken.expected}, seen {broken.seen}"
    if lab.judged:
        ctx.conclude("verdict", f"{lab.judged} {record.verdict}")


class Sampler:
    """A thread that counts the events several times a second until `close`, and once more then.

    While the database is unreachable it takes no sample. Any other error ends it, and makes the lab
    inconclusive: the figures would be incomplete.
    """

    def __init__(self, ctx: LabContext) -> None:
        self._ctx = ctx
        self._closed, self._failed = Event(), False
        self._thread = Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and take the last sample."""
        self._closed.set()
        self._thread.join()
        self._sample()

    def _run(self) -> None:
        while not (self._failed or self._closed.wait(SAMPLE_SECONDS)):
            self._sample()

    def _sample(self) -> None:
        if self._failed:
            return
        try:
            counts = self._ctx.counts()
            self._ctx.record.samples.append(LabSample(self._ctx.now, counts))
        except OutboxctlError:
            pass  # the fault of some labs
        except Exception as error:
            self._failed = True
            self._ctx.note(SAMPLED, "no error", f"{type(error).__name__}: {error}", LabVerdict.INCONCLUSIVE)
