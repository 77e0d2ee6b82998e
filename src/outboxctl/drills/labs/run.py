"""Running labs side by side, each in a namespace of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import brief
from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.drill import Drill, LabEvent, Listener
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, LabCheck, LabPhase, LabRun, LabVerdict, Record
from outboxctl.drills.labs.place import Place

NEEDS = BilingualText("what the lab needs is here", "环境满足实验的需要")
NAMESPACE = BilingualText("tables and an index of its own", "独立的表和索引")


@dataclass(frozen=True)
class Options:
    """How to run: so many labs at once; without `faults` as a control; `command` in place of our worker."""

    jobs: int = 4
    faults: bool = True
    command: Sequence[str] | None = None


@dataclass(frozen=True)
class Runner:
    """Runs labs at a place; `ended` gets each record once it is complete.

    `folder` is the evidence's: each lab's worker logs go to a folder of the lab's name in it. Once
    `stop` is set, running labs undo their faults and end, and no other begins.
    """

    place: Place
    folder: Path
    options: Options
    listener: Listener
    ended: Callable[[Record], object]
    stop: Event

    def run(self, labs: Sequence[type[Lab]]) -> LabRun:
        """Run labs, in this order as far as there are `jobs`.

        A first KeyboardInterrupt sets `stop`, a second one is raised at once. (An echo of the first is the
        caller's to hold back: see `own_folder`.) Raises OutboxctlError where the servers cannot be reached or
        started.
        """
        begun, versions, options = datetime.now(UTC), self.place.versions(), self.options
        pool = ThreadPoolExecutor(options.jobs, thread_name_prefix="lab")
        futures = [pool.submit(self._one, lab) for lab in labs]
        try:
            wait(futures)
        except KeyboardInterrupt:
            self.stop.set()
            wait(futures)
        pool.shutdown()
        records = [future.result() for future in futures]
        return LabRun(
            started_at=begun.isoformat(timespec="seconds"),
            seconds=round((datetime.now(UTC) - begun).total_seconds(), 1),
            verdict=LabVerdict.worst(record.verdict for record in records),
            versions=versions,
            faults=options.faults,
            records=records,
        )

    def _one(self, lab: type[Lab]) -> Record:
        record = Record(lab.name, datetime.now(UTC).isoformat(timespec="seconds"))
        if self.stop.is_set():
            record.interrupted, record.why = LabPhase.PREPARE, "interrupted before it began"
        else:
            self._play(lab, record)
        self.listener(LabEvent(lab, record, None))
        self.ended(record)
        return record

    def _play(self, lab: type[Lab], record: Record) -> None:
        folder, options = self.folder / lab.name, self.options
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if lacking := self.place.lacks(lab):
                why = f"it needs {' and '.join(lacking)}, and {self.place.why(lacking)}"
                _inconclusive(record, NEEDS, ", ".join(lacking), "none here", why)
                return
            with self.place.namespace(lab) as namespace:
                record.settings = dict(namespace.shown)
                ctx = LabContext(
                    namespace, record, folder, stop=self.stop, faults=options.faults, command=options.command
                )
                with closing(ctx):
                    Drill(lab(), ctx, self.listener).play()
        except Exception as error:  # of one lab: the others go on
            text = str(error) if isinstance(error, OutboxctlError) else f"{type(error).__name__}: {error}"
            why = f"its tables and index could not be made, or not removed: {brief(text, 300)}"
            _inconclusive(record, NAMESPACE, "made, and gone in the end", text, why)


def _inconclusive(record: Record, name: BilingualText, expected: str, observed: str, why: str) -> None:
    """Record that the lab could not begin, or not end; a FAIL stays."""
    verdict = LabVerdict.INCONCLUSIVE
    record.checks.append(LabCheck(LabPhase.PREPARE, name, expected, brief(observed, 300), verdict))
    if record.verdict is not LabVerdict.FAIL:
        record.verdict, record.why = verdict, why
