"""The folder of one run: written as each lab ends, so that a killed run leaves evidence too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from threading import Lock

from outboxctl import __version__
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence import files, pages
from outboxctl.drills.labs.evidence.tidy import tidy
from outboxctl.drills.labs.model import LabPhase, LabRun, LabVerdict, Record, RunState

REPORT = "report.json"
INTERRUPTED = "the run was ended from outside before this lab was over"


class EvidenceFolder:
    """The evidence of one run in `path`: `begin`, `add` as each lab ends (from any thread), `finish`.

    What could not be written, on a full disk perhaps, is named in `lost`: the verdict is still given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost: list[str] = []
        self._lock = Lock()
        own = {"outboxctl": __version__, "python": python_version(), "urllib3": version("urllib3")}
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        self._run = LabRun(begun, 0.0, LabVerdict.INCONCLUSIVE, own, [], RunState.RUNNING)

    def begin(self, labs: Sequence[str]) -> None:
        """Make the folder for a run of these labs. UsageError if that fails, or it holds another run."""
        self._run = replace(self._run, records=[Record(lab, "", why="still under way") for lab in labs])
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / REPORT).exists():
                raise UsageError(f"{self.path} holds the evidence of another run", hint="name a new folder")
            files.write_json(self.path / REPORT, self._run)
        except OSError as error:
            raise UsageError(f"cannot write to {self.path}: {error.strerror}") from None

    def add(self, record: Record) -> None:
        """Write all files of a lab that has ended."""
        tidied = tidy(record)
        with self._lock:
            records = [tidied if each.lab == record.lab else each for each in self._run.records]
            self._run = replace(self._run, records=records)
            with self._noting(f"lab {record.lab}"):
                by_hand = next(lab.by_hand for lab in LABS if lab.name == record.lab)
                files.write_lab(self.path / record.lab, tidied, record, by_hand)
                files.write_json(self.path / REPORT, self._run)

    def finish(self, of_servers: dict[str, str]) -> LabRun:
        """Write the reports of the run; returns what they say."""
        took = (datetime.now(UTC) - datetime.fromisoformat(self._run.started_at)).total_seconds()
        run = replace(self._run, seconds=round(took, 1), versions=self._run.versions | of_servers)
        interrupted = any(record.interrupted for record in run.records)
        run = _judged(run, RunState.INTERRUPTED if interrupted else RunState.FINISHED)
        with self._noting("the report"):
            _write(self.path, run)
        return run

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost.append(f"{what} ({error.strerror or error})")


def mark_interrupted(path: Path) -> bool:
    """Write the reports of a run that was killed; False if it had ended."""
    if not (path / REPORT).exists() or (run := load(path)).state is not RunState.RUNNING:
        return False
    names = {lab.name for lab in LABS}
    records = [each if each.started_at else _killed(each.lab) for each in run.records if each.lab in names]
    seconds = max((each.seconds for each in records), default=0.0)
    _write(path, _judged(replace(run, records=records, seconds=seconds), RunState.INTERRUPTED))
    return True


def load(path: Path) -> LabRun:
    """The report of a run, as far as it is complete. UsageError where there is none."""
    try:
        return files.adapter(LabRun).validate_json((path / REPORT).read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} holds no evidence of a run", hint="outboxctl lab run makes some") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path / REPORT}: {brief(error, 200)}") from None


def newest(parent: Path) -> Path:
    """The folder if it is a run's, else the newest run in it. UsageError."""
    if (parent / REPORT).exists():
        return parent
    runs = list(parent.glob(f"*/{REPORT}"))
    if not runs:
        raise UsageError(f"no evidence of a run in {parent}", hint="outboxctl lab run makes some")
    return max(runs, key=lambda report: report.stat().st_mtime).parent


def _killed(lab: str) -> Record:
    return Record(lab, "", why=INTERRUPTED, interrupted=LabPhase.PREPARE)


def _judged(run: LabRun, state: RunState) -> LabRun:
    return replace(run, state=state, verdict=LabVerdict.worst(record.verdict for record in run.records))


def _write(path: Path, run: LabRun) -> None:
    pages.write(path, run)
    files.write_json(path / REPORT, run)
