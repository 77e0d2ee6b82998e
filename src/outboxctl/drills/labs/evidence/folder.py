"""The folder of one run: written anew as each lab ends, so that a killed run leaves evidence too."""

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
from outboxctl.drills.labs.model import LabRun, LabVerdict, Record, RunState

REPORT = "report.json"


class EvidenceFolder:
    """The evidence of one run: `begin`, `add` (from any thread), `finish`. UsageError: cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        own = {"outboxctl": __version__, "python": python_version(), "urllib3": version("urllib3")}
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        self._run = LabRun(begun, 0.0, LabVerdict.INCONCLUSIVE, own, [], RunState.RUNNING)

    def begin(self, labs: Sequence[str]) -> None:
        """Make the folder for a run of these labs. UsageError if it holds another run."""
        self._run = replace(self._run, records=[Record(lab, "", why="still under way") for lab in labs])
        with self._written():
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / REPORT).exists():
                raise UsageError(f"{self.path} holds the evidence of another run", hint="name a new folder")
            self._write_json()

    def add(self, record: Record) -> None:
        """Write all files of a lab that has ended, and the reports of what has ended so far."""
        tidied = files.tidy(record)
        with self._lock, self._written():
            by_hand = next(lab.by_hand for lab in LABS if lab.name == record.lab)
            files.write_lab(self.path / record.lab, tidied, record, by_hand)
            records = [tidied if each.lab == record.lab else each for each in self._run.records]
            self._write(replace(self._run, records=records))

    def finish(self, of_servers: dict[str, str]) -> LabRun:
        """Write the reports of the whole run; returns what they say."""
        interrupted = any(record.interrupted for record in self._run.records)
        state = RunState.INTERRUPTED if interrupted else RunState.FINISHED
        with self._written():
            self._write(replace(self._run, state=state, versions=self._run.versions | of_servers))
        return self._run

    def _write(self, run: LabRun) -> None:
        took = (datetime.now(UTC) - datetime.fromisoformat(run.started_at)).total_seconds()
        verdict = LabVerdict.worst(record.verdict for record in run.records)
        self._run = replace(run, seconds=round(took, 1), verdict=verdict)
        pages.write(self.path, self._run)
        self._write_json()

    def _write_json(self) -> None:
        files.write(self.path / REPORT, files.adapter(LabRun).dump_json(self._run, indent=1).decode() + "\n")

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"cannot write evidence to {self.path}: {error.strerror or error}"
            raise UsageError(why, hint="is the disk full? --evidence names another folder") from None


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
