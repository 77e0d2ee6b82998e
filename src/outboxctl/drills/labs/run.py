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
from outboxctl.drills.labs.drill import play
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import LabCheck, LabPhase, LabVerdict, Record
from outboxctl.drills.labs.place import IMITATION, Place

NEEDS = "what the lab needs is here"
NAMESPACE = "tables and an index of its own"


@dataclass(frozen=True)
class Runner:
    """Runs `jobs` labs at once at a place; `began` gets each lab, `ended` its record once it is complete.

    `folder` is the evidence's: each lab's worker logs go to a folder of the lab's name in it. `command`
    replaces our worker. Once `stop` is set, running labs undo their faults and end, and no other begins.
    """

    place: Place
    folder: Path
    began: Callable[[type[Lab]], object]
    ended: Callable[[Record], object]
    stop: Event
    jobs: int = 4
    command: Sequence[str] | None = None

    def run(self, labs: Sequence[type[Lab]]) -> list[Record]:
        """Run labs, in this order as far as there are `jobs`.

        A first KeyboardInterrupt sets `stop`, a second one is raised at once. (An echo of the first is the
        caller's to hold back: see `own_folder`.) Raises OutboxctlError where the servers cannot be reached or
        started.
        """
        self.place.versions()
        pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="lab")
        futures = [pool.submit(self._one, lab) for lab in labs]
        try:
            wait(futures)
        except KeyboardInterrupt:
            self.stop.set()
            wait(futures)
        pool.shutdown()
        return [future.result() for future in futures]

    def _one(self, lab: type[Lab]) -> Record:
        record = Record(lab.name, datetime.now(UTC).isoformat(timespec="seconds"))
        if self.stop.is_set():
            record.interrupted, record.why = LabPhase.PREPARE, "interrupted before it began"
        else:
            self.began(lab)
            self._play(lab, record)
        self.ended(record)
        return record

    def _play(self, lab: type[Lab], record: Record) -> None:
        folder = self.folder / lab.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if lab.real_engine and self.place.versions()["search"].startswith(IMITATION):
                why = "it needs a real search engine, and this is an imitation"
                _inconclusive(record, NEEDS, "a real search engine", "an imitation", why)
                return
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
