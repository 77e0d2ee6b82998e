"""The folder of one run: written as each lab ends, so that a killed run leaves evidence too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TypeVar

from outboxctl import __version__
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence import files, pages
from outboxctl.drills.labs.evidence.tidy import tidy
from outboxctl.drills.labs.model import LabPhase, LabRun, LabVerdict, Record, RunState

RUN, REPORT, RECORD = "run.json", "report.json", "record.json"
T = TypeVar("T")
INTERRUPTED = "the run was ended from outside before this lab was over"


@dataclass(frozen=True)
class RunFacts:
    """A run as it begins."""

    state: RunState
    started_at: str
    labs: list[str]


class EvidenceFolder:
    """The evidence of one run in `path`: `begin`, `add` as each lab ends (from any thread), `finish`.

    What could not be written, on a full disk perhaps, is named in `lost`: the verdict is still given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost: list[str] = []

    def begin(self, labs: Sequence[str]) -> None:
        """Make the folder for a run of these labs. UsageError if that fails, or it holds another run."""
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        facts = RunFacts(RunState.RUNNING, begun, list(labs))
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
            by_hand = next(lab.by_hand for lab in LABS if lab.name == record.lab)
            files.write_lab(self.path / record.lab, tidy(record), record, by_hand)

    def finish(self, records: Sequence[Record], of_servers: dict[str, str]) -> LabRun:
        """Write the reports of the run; returns what they say."""
        facts = _facts(self.path)
        assert facts  # noqa: S101 - for mypy: it has begun
        interrupted = any(record.interrupted for record in records)
        state = RunState.INTERRUPTED if interrupted else RunState.FINISHED
        took = (datetime.now(UTC) - datetime.fromisoformat(facts.started_at)).total_seconds()
        run = _run(facts, state, [tidy(record) for record in records], round(took, 1), of_servers)
        with self._noting("the report"):
            _finish(self.path, run)
        return run

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost.append(f"{what} ({error.strerror or error})")


def mark_interrupted(path: Path) -> bool:
    """Write the reports of a run that was killed; False if it had ended."""
    facts = _facts(path)
    if facts is None or facts.state is not RunState.RUNNING:
        return False
    _finish(path, _gathered(path, facts, RunState.INTERRUPTED))
    return True


def load(path: Path) -> LabRun:
    """The report of a run, as far as it is complete. UsageError where there is none."""
    facts = _facts(path)
    if facts is None:
        raise UsageError(f"{path} holds no evidence of a run", hint="outboxctl lab run makes some")
    if not (path / REPORT).exists():
        return _gathered(path, facts, facts.state)
    return _read(path / REPORT, LabRun)


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


def _finish(path: Path, run: LabRun) -> None:
    pages.write(path, run)
    files.write_json(path / REPORT, replace(run, records=[replace(each, samples=[]) for each in run.records]))
    facts = _facts(path)
    if facts is not None:
        files.write_json(path / RUN, replace(facts, state=run.state))


def _gathered(path: Path, facts: RunFacts, state: RunState) -> LabRun:
    """The labs of a run that did not end; those without a record are INCONCLUSIVE."""
    names = {lab.name for lab in LABS}
    records = [_record(path / name, state) for name in facts.labs if name in names]
    return _run(facts, state, records, max((each.seconds for each in records), default=0.0), {})


def _run(
    facts: RunFacts, state: RunState, records: list[Record], seconds: float, of_servers: dict[str, str]
) -> LabRun:
    own = {"outboxctl": __version__, "python": python_version(), "urllib3": version("urllib3")}
    verdict = LabVerdict.worst(record.verdict for record in records)
    return LabRun(facts.started_at, seconds, verdict, own | of_servers, records, state)


def _record(folder: Path, state: RunState) -> Record:
    if (folder / RECORD).exists():
        return _read(folder / RECORD, Record)
    if state is RunState.RUNNING:
        return Record(folder.name, "", why="still under way")
    return Record(folder.name, "", why=INTERRUPTED, interrupted=LabPhase.PREPARE)


def _facts(path: Path) -> RunFacts | None:
    return _read(path / RUN, RunFacts) if (path / RUN).exists() else None


def _read(path: Path, kind: type[T]) -> T:
    try:
        return files.adapter(kind).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {brief(error, 200)}") from None
