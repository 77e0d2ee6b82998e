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
from outboxctl.drills.labs.drill import Drill, Moment, Tell
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText, LabCheck, LabPhase, LabRun, LabVerdict, Need, Record
from outboxctl.drills.labs.place import Place
from outboxctl.drills.labs.scene import Scene

PLACE = BilingualText("what the lab needs is here", "环境满足实验的需要")
LACKING = {True: "this is an imitation", False: "the servers here are somebody's, not the lab's to break"}
NAMESPACE = BilingualText("tables and an index of its own", "独立的表和索引")


@dataclass(frozen=True)
class Options:
    """How to run: so many labs at once; without `faults` as a control; `command` in place of our worker."""

    jobs: int = 4
    faults: bool = True
    command: Sequence[str] | None = None


def run(
    labs: Sequence[type[Lab]],
    place: Place,
    folder: Path,
    *,
    options: Options,
    tell: Tell,
    ended: Callable[[Record], object],
    stop: Event,
) -> LabRun:
    """Run them, in this order as far as there are `jobs`; `ended` gets each record once it is whole.

    `folder` is the evidence's: each lab's worker logs go to a folder of the lab's name in it. Once
    `stop` is set, labs under way undo their faults and end, and no other begins; a first
    KeyboardInterrupt sets it, a second one is raised, whatever is still under way. (An echo of the
    first is the caller's to hold back: see `own_folder`.)
    Raises OutboxctlError where the place itself cannot be had.
    """
    begun, versions = datetime.now(UTC), place.versions()

    def one(lab: type[Lab]) -> Record:
        record = _played(lab, place, folder / lab.name, options=options, tell=tell, stop=stop)
        tell(Moment(lab, record, None))
        ended(record)
        return record

    pool = ThreadPoolExecutor(options.jobs, thread_name_prefix="lab")
    futures = [pool.submit(one, lab) for lab in labs]
    try:
        wait(futures)
    except KeyboardInterrupt:
        stop.set()
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


def _played(
    lab: type[Lab], place: Place, folder: Path, *, options: Options, tell: Tell, stop: Event
) -> Record:
    record = Record(lab.name, datetime.now(UTC).isoformat(timespec="seconds"))
    if stop.is_set():
        record.interrupted, record.why = LabPhase.PREPARE, "interrupted before it began"
        return record
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if lacking := place.lacks(lab):
            why = f"it needs {' and '.join(lacking)}, and {LACKING[Need.REAL_ENGINE in lacking]}"
            return _without(record, PLACE, ", ".join(lacking), "none here", why)
        with place.namespace(lab) as namespace:
            record.settings = dict(namespace.shown)
            scene = Scene(
                namespace, record, folder, stop=stop, faults=options.faults, command=options.command
            )
            with closing(scene):
                Drill(lab(), scene, tell).play()
    except Exception as error:  # of one lab: the others go on
        seen = str(error) if isinstance(error, OutboxctlError) else f"{type(error).__name__}: {error}"
        why = f"its tables and index could not be made, or not removed: {brief(seen, 300)}"
        return _without(record, NAMESPACE, "made, and gone in the end", seen, why)
    return record


def _without(record: Record, name: BilingualText, expected: str, seen: str, why: str) -> Record:
    """A lab that could not begin, or not end; what it has refuted stays refuted."""
    record.checks.append(
        LabCheck(LabPhase.PREPARE, name, expected, brief(seen, 300), LabVerdict.INCONCLUSIVE)
    )
    if record.verdict is not LabVerdict.FAIL:
        record.verdict = LabVerdict.INCONCLUSIVE
        record.why = why
    return record
