"""The folder of one run: written as each lab ends, so that a killed run leaves evidence too."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TypeVar

import psutil

from outboxctl import __version__
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence import files, pages
from outboxctl.drills.labs.evidence.lab_report import reported
from outboxctl.drills.labs.evidence.model import VERSION, LabReport, RunReport, RunState, adapter
from outboxctl.drills.labs.model import LabPhase, LabRun, LabVerdict, Record

RUN, REPORT, RECORD = "run.json", "report.json", "record.json"
T = TypeVar("T")
INTERRUPTED = "the run was ended from outside before this lab was over"


@dataclass(frozen=True)
class RunFacts:
    """A run as it begins. `pid` and `created` identify its process: a pid alone may be reused."""

    state: RunState
    pid: int
    created: float
    started_at: str
    faults: bool
    labs: list[str]


class EvidenceFolder:
    """The evidence of one run in `path`: `begin`, `add` as each lab ends (from any thread), `finish`.

    What could not be written, on a full disk perhaps, is named in `lost`: the verdict is still given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost: list[str] = []

    def begin(self, labs: Sequence[str], *, faults: bool = True) -> None:
        """Make the folder for a run of these labs. UsageError if that fails, or it holds another run."""
        own = psutil.Process()
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        facts = RunFacts(RunState.RUNNING, own.pid, own.create_time(), begun, faults, list(labs))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / RUN).exists():
                raise UsageError(f"{self.path} holds the evidence of another run", hint="name a new folder")
            files.write_json(self.path / RUN, facts)
        except OSError as error:
            raise UsageError(f"cannot write to {self.path}: {error.strerror}") from None

    def add(self, record: Record) -> None:
        """Write all files of a lab that has ended."""
        with self._noting(f"lab {record.lab}"):
            files.write_lab(self.path / record.lab, reported(record), record)

    def finish(self, run: LabRun) -> RunReport:
        """Write the reports of the run."""
        interrupted = any(record.interrupted for record in run.records)
        report = RunReport(
            VERSION,
            RunState.INTERRUPTED if interrupted else RunState.FINISHED,
            run.started_at,
            run.seconds,
            run.verdict,
            run.faults,
            versions() | run.versions,
            [reported(record) for record in run.records],
        )
        with self._noting("the report"):
            _finish(self.path, report)
        return report

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost.append(f"{what} ({error.strerror or error})")


def versions() -> dict[str, str]:
    """Versions of our own software."""
    return {
        "outboxctl": __version__,
        "python": python_version(),
        "urllib3": version("urllib3"),
    }


def mark_interrupted(path: Path) -> bool:
    """Write the reports of a run that was killed, or of our own; False if it has ended or still runs."""
    facts = _facts(path)
    if facts is None or facts.state is not RunState.RUNNING or (_runs(facts) and facts.pid != os.getpid()):
        return False
    _finish(path, _gathered(path, facts, RunState.INTERRUPTED))
    return True


def load(path: Path) -> RunReport:
    """The report of a run, as far as it is complete. UsageError where there is none."""
    facts = _facts(path)
    if facts is None:
        raise UsageError(f"{path} holds no evidence of a run", hint="outboxctl lab run makes some")
    if not (path / REPORT).exists():
        return _gathered(path, facts, RunState.RUNNING if _runs(facts) else RunState.INTERRUPTED)
    return _read(path / REPORT, RunReport)


def newest(parent: Path) -> Path:
    """The folder if it is a run's, its parent if it is a lab's, else the newest run in it. UsageError."""
    if (parent / RUN).exists():
        return parent
    if parent.is_dir() and (parent.resolve().parent / RUN).exists():
        return parent.resolve().parent
    runs = [
        (facts.started_at, run.parent) for run in parent.glob(f"*/{RUN}") if (facts := _facts(run.parent))
    ]
    if not runs:
        raise UsageError(f"no evidence of a run in {parent}", hint="outboxctl lab run makes some")
    return max(runs)[1]


def _finish(path: Path, report: RunReport) -> None:
    pages.write(path, report)
    labs = [replace(lab, record=replace(lab.record, samples=[])) for lab in report.labs]
    files.write_json(path / REPORT, replace(report, labs=labs))
    facts = _facts(path)
    if facts is not None:
        files.write_json(path / RUN, replace(facts, state=report.state))


def _gathered(path: Path, facts: RunFacts, state: RunState) -> RunReport:
    """The labs of a run that did not end; those without a record are INCONCLUSIVE."""
    names = {lab.name for lab in LABS}
    labs = [_lab(path / name, state) for name in facts.labs if name in names]
    verdict = LabVerdict.worst(lab.record.verdict for lab in labs)
    took = max((lab.record.seconds for lab in labs), default=0.0)
    return RunReport(VERSION, state, facts.started_at, took, verdict, facts.faults, versions(), labs)


def _lab(folder: Path, state: RunState) -> LabReport:
    if (folder / RECORD).exists():
        return _read(folder / RECORD, LabReport)
    why = INTERRUPTED if state is RunState.INTERRUPTED else "still under way"
    interrupted = LabPhase.PREPARE if state is RunState.INTERRUPTED else None
    return reported(Record(folder.name, "", why=why, interrupted=interrupted))


def _facts(path: Path) -> RunFacts | None:
    return _read(path / RUN, RunFacts) if (path / RUN).exists() else None


def _read(path: Path, kind: type[T]) -> T:
    try:
        return adapter(kind).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {brief(error, 200)}") from None


def _runs(facts: RunFacts) -> bool:
    try:
        return abs(psutil.Process(facts.pid).create_time() - facts.created) < 1
    except psutil.Error:
        return False
