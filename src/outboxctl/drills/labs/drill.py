"""Playing one lab: its phases in order, its faults undone whatever happens, and the verdict."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from outboxctl.drills.labs import invariants
from outboxctl.drills.labs.experiment import Stopped, Unlearned
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, LabPhase, LabSample, LabVerdict, Record, Timed
from outboxctl.drills.labs.sampler import Sampler
from outboxctl.drills.labs.scene import Scene

WENT_ON = BilingualText("the lab could go on", "实验得以继续")
JUDGEMENT = BilingualText("verdict", "判定")


@dataclass(frozen=True)
class Moment:
    """What a lab tells while it runs: the phase that begins (None: it has ended), or a sample."""

    lab: type[Lab]
    record: Record
    phase: LabPhase | None
    sample: LabSample | None = None


Tell = Callable[[Moment], object]


class Drill:
    """One run of one lab on its scene; everything that comes of it is in the scene's record."""

    def __init__(self, lab: Lab, scene: Scene, tell: Tell) -> None:
        self._lab, self._scene, self._record, self._tell = lab, scene, scene.record, tell

    def play(self) -> None:
        """All phases. UNDO comes whatever happened before, and no order to end cuts it short."""
        lab, scene = self._lab, self._scene
        with closing(Sampler(scene, self._sampled)):
            steady = self._went(LabPhase.PREPARE, lab.prepare) and self._went(LabPhase.STEADY, self._steady)
            learned = (
                steady
                and self._went(LabPhase.INJECT, lab.inject)
                and self._went(LabPhase.OBSERVE, self._watch)
            )
            stop, scene.stop = scene.stop, None
            self._went(LabPhase.UNDO, lab.undo)
            scene.stop = stop
            if steady and not self._record.interrupted:
                self._conclude(learned=learned)
        self._record.seconds = scene.now
        self._judge()

    def _steady(self, scene: Scene) -> None:
        self._lab.steady(scene)
        scene.snapshot("A")

    def _watch(self, scene: Scene) -> None:
        self._lab.observe(scene)
        scene.snapshot("B")

    def _conclude(self, *, learned: bool) -> None:
        """What must hold after anything is looked at even if the lab itself learned nothing.

        But not after an order to end: what there was no time for is not refuted.
        """
        self._went(LabPhase.RECOVER, self._lab.recover)
        if learned and not self._record.interrupted:
            self._went(LabPhase.CHECK, self._lab.check)
        if not self._record.interrupted:
            self._went(LabPhase.CHECK, self._close)

    def _close(self, scene: Scene) -> None:
        scene.snapshot("C")
        invariants.check(scene)

    def _went(self, phase: LabPhase, act: Callable[[Scene], None]) -> bool:
        """Whether the phase came to its end as the lab means it to."""
        scene, began = self._scene, self._scene.now
        scene.phase = phase
        self._tell(Moment(type(self._lab), self._record, phase))
        try:
            act(scene)
        except Unlearned:
            return False
        except Stopped:
            self._record.interrupted = phase
            return False
        except Exception as error:
            seen = f"{type(error).__name__}: {error}"
            scene.note(WENT_ON, "no error", seen, LabVerdict.INCONCLUSIVE)
            return False
        finally:
            self._record.phases.append(Timed(phase, began, round(scene.now - began, 3)))
        return True

    def _sampled(self, sample: LabSample) -> None:
        self._record.samples.append(sample)
        self._tell(Moment(type(self._lab), self._record, self._scene.phase, sample))

    def _judge(self) -> None:
        """An interrupted run has shown nothing, but what it has refuted stays refuted."""
        record = self._record
        interrupted = [LabVerdict.INCONCLUSIVE] if record.interrupted else []
        record.verdict = LabVerdict.worst([*(check.verdict for check in record.checks), *interrupted])
        broken = next((check for check in record.checks if check.verdict is record.verdict), None)
        if record.interrupted:
            record.why = f"interrupted in phase {record.interrupted}"
        elif broken and record.verdict is not LabVerdict.OK:
            record.why = f"{broken.name.en}: expected {broken.expected}, seen {broken.seen}"
        if judged := self._lab.judged:
            told = BilingualText(f"{judged.en} {record.verdict}", f"{judged.zh} {record.verdict}")
            self._scene.conclude(JUDGEMENT, told)
