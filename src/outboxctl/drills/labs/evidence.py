"""The evidence of a run: report.json, report.html, junit.xml, and the workers' logs in a folder for each lab.

The reports are written again as each lab ends, so that a killed run leaves evidence too.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from xml.etree import ElementTree as ET

from outboxctl import __version__
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief, clean
from outboxctl.domain.redaction import redact
from outboxctl.drills.labs import page
from outboxctl.drills.labs.model import LabRun, LabVerdict, Record, RunState

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
REPORT, PAGE, JUNIT = "report.json", "report.html", "junit.xml"
MAX_TEXT = 2_000  # characters of one text in a report
HALF_LOG = 1_000_000  # characters kept of a log's beginning, and of its end
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char


class EvidenceFolder:
    """The folder of one run: `begin`, `add` (from any thread), `finish`. UsageError: it cannot be written."""

    def __init__(self, path: Path, language: str = "en") -> None:
        self.path, self._language = path, language
        self._lock = Lock()
        own = {"outboxctl": __version__, "python": python_version(), "urllib3": version("urllib3")}
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        self._run = LabRun(begun, 0.0, LabVerdict.INCONCLUSIVE, own, [], RunState.RUNNING)

    def begin(self, labs: Sequence[str]) -> None:
        """Make the folder for a run of these labs. UsageError if it holds another run."""
        self._run = replace(self._run, records=[Record(lab, "", why="still under way") for lab in labs])
        with self._naming_the_folder():
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / REPORT).exists():
                raise UsageError(f"{self.path} holds the evidence of another run", hint="name a new folder")
            self._write_json()

    def add(self, record: Record) -> None:
        """Clean the logs of a lab that has ended, and write the reports of what has ended so far."""
        with self._lock, self._naming_the_folder():
            for log in filter(Path.exists, (self.path / record.lab / name for name in record.logs)):
                _write(log, _safe_log(log.read_text(errors="backslashreplace")))
            safe = adapter(Record).validate_python(_shortened(asdict(record)))
            records = [safe if each.lab == record.lab else each for each in self._run.records]
            self._write_reports(replace(self._run, records=records))

    def finish(self, of_servers: dict[str, str]) -> LabRun:
        """Write the reports of the whole run; returns what they say."""
        interrupted = any(record.interrupted for record in self._run.records)
        state = RunState.INTERRUPTED if interrupted else RunState.FINISHED
        with self._naming_the_folder():
            self._write_reports(replace(self._run, state=state, versions=self._run.versions | of_servers))
        return self._run

    def _write_reports(self, run: LabRun) -> None:
        took = (datetime.now(UTC) - datetime.fromisoformat(run.started_at)).total_seconds()
        verdict = LabVerdict.worst(record.verdict for record in run.records)
        self._run = replace(run, seconds=round(took, 1), verdict=verdict)
        _write(self.path / PAGE, page.html(self._run, self._language))
        _write(self.path / JUNIT, junit(self._run))
        self._write_json()

    def _write_json(self) -> None:
        _write(self.path / REPORT, adapter(LabRun).dump_json(self._run, indent=1).decode() + "\n")

    @contextmanager
    def _naming_the_folder(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"cannot write evidence to {self.path}: {error.strerror or error}"
            raise UsageError(why, hint="is the disk full? --evidence names another folder") from None


def load(path: Path) -> LabRun:
    """Return the report of a run, as far as it is complete. UsageError where there is none."""
    try:
        return adapter(LabRun).validate_json((path / REPORT).read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} holds no evidence of a run", hint="outboxctl lab run makes some") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path / REPORT}: {brief(error, 200)}") from None


def newest(parent: Path) -> Path:
    """Return the folder if it is a run's, else the newest run in it. UsageError."""
    if (parent / REPORT).exists():
        return parent
    runs = list(parent.glob(f"*/{REPORT}"))
    if not runs:
        raise UsageError(f"no evidence of a run in {parent}", hint="outboxctl lab run makes some")
    return max(runs, key=lambda report: report.stat().st_mtime).parent


def adapter(kind: type[T]) -> "TypeAdapter[T]":
    """Return what reads and writes such a dataclass as JSON."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - it takes 0.1 s, which `lab list` does not need

    return TypeAdapter(kind)


def junit(run: LabRun) -> str:
    """Return JUnit XML, as CI systems show it: one suite with a case for each lab."""
    results = {record.lab: _junit_result(record, run.state) for record in run.records}
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {name: str([*results.values()].count(kind)) for name, kind in kinds.items()}
    about = {"name": "outboxctl labs", "tests": str(len(run.records)), "timestamp": run.started_at}
    root = ET.Element("testsuites")
    suite = ET.SubElement(root, "testsuite", {**about, **counts, "time": f"{run.seconds:.3f}"})
    for record in run.records:
        case = {"classname": "outboxctl.labs", "name": record.lab, "time": f"{record.seconds:.3f}"}
        element = ET.SubElement(suite, "testcase", case)
        if result := results[record.lab]:
            unmet = (f"{c.phase}: {c.name}: expected {c.expected}, seen {c.seen}" for c in record.unmet)
            ET.SubElement(element, result, message=record.why).text = "\n".join(unmet)
        ET.SubElement(element, "system-out").text = page.timeline(record)
    return NOT_XML.sub("\ufffd", ET.tostring(root, encoding="unicode")) + "\n"


def _junit_result(record: Record, state: RunState) -> str | None:
    """Return `failure` for FAIL, `error` if interrupted or killed, `skipped` for INCONCLUSIVE.

    A skipped case is shown with its reason, but does not fail a build whose servers lack what a lab needs;
    the exit code is 5 all the same.
    """
    if record.verdict is LabVerdict.FAIL:
        return "failure"
    if record.interrupted or (state is RunState.RUNNING and not record.started_at):
        return "error"
    return "skipped" if record.verdict is LabVerdict.INCONCLUSIVE else None


def _write(path: Path, text: str) -> None:
    """Replace a file atomically: the run may be killed meanwhile."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _shortened(value: Any) -> Any:
    """Return a copy that is safe to show: its texts short, printable and without secrets."""
    if isinstance(value, str):
        return type(value)(value) if type(value) is not str else brief(value, MAX_TEXT)
    if isinstance(value, dict):
        return {brief(key, MAX_TEXT): _shortened(each) for key, each in value.items()}
    return [_shortened(each) for each in value] if isinstance(value, list) else value


def _safe_log(text: str) -> str:
    """Redact a log as a whole, for a secret may hold a line end; clean its lines, leave out its middle."""
    safe = "".join(f"{clean(each)}\n" for each in redact(text).splitlines())
    cut = len(safe) - 2 * HALF_LOG
    if cut <= 0:
        return safe
    return f"{safe[:HALF_LOG]}\n… {cut:,} characters left out …\n{safe[-HALF_LOG:]}"
