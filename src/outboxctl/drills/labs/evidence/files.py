"""The files of one lab's folder, for people, spreadsheets and shells."""

import csv
import io
import shlex
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from outboxctl.core.stats.drill_snapshot import EventCounts
from outboxctl.domain.printable import brief, clean
from outboxctl.domain.redaction import redact
from outboxctl.drills.labs.model import LabSample, Record, Snapshot

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
LONGEST = 2_000  # characters of one text
HALF = 1_000_000  # characters kept of a log's beginning, and of its end


def write(path: Path, text: str) -> None:
    """Write a file atomically: the run may be killed meanwhile."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def adapter(kind: type[T]) -> "TypeAdapter[T]":
    """Reads and writes such a dataclass as JSON."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - it takes 0.1 s, which `lab list` does not need

    return TypeAdapter(kind)


def tidy(record: Record) -> Record:
    """A copy that is safe to show: short and printable, without secrets, and without the long metrics."""
    plain = asdict(record)
    for snapshot in plain["snapshots"]:
        snapshot["metrics"] = {}
    return adapter(Record).validate_python(_tidied(plain))


def _tidied(value: Any) -> Any:
    if isinstance(value, str):
        return type(value)(value) if type(value) is not str else brief(value, LONGEST)
    if isinstance(value, dict):
        return {brief(key, LONGEST): _tidied(each) for key, each in value.items()}
    return [_tidied(each) for each in value] if isinstance(value, list) else value


def write_lab(folder: Path, tidied: Record, record: Record, by_hand: Sequence[str]) -> None:
    """All files of one lab; `record` is the original, with its metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    exports = (f"export {name}={shlex.quote(value)}\n" for name, value in tidied.settings.items())
    write(folder / "settings.env", "".join(exports))
    write(folder / "by-hand.txt", "".join(f"{command}\n" for command in by_hand))
    write(folder / "timeline.txt", timeline(tidied))
    write(folder / "samples.csv", samples_csv(tidied.samples))
    for snapshot in tidied.snapshots:
        write(folder / f"snapshot-{snapshot.label}.txt", snapshot_text(snapshot))
    for snapshot in record.snapshots:
        for worker, metrics in snapshot.metrics.items():
            write(folder / f"metrics-{snapshot.label}-{worker}.txt", _safe(metrics))
    for log in filter(Path.exists, (folder / name for name in record.logs)):
        write(log, _safe(log.read_text(errors="backslashreplace")))


def timeline(record: Record) -> str:
    """What was done, a line each with its second."""
    return "".join(f"{each.at:8.3f}  {each.text}\n" for each in record.timeline)


def samples_csv(samples: Sequence[LabSample]) -> str:
    """A line for each sample: its second, then the fields of EventCounts."""
    out = io.StringIO()
    names = [field.name for field in fields(EventCounts)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["at", *names])
    writer.writerows([sample.at, *asdict(sample.look).values()] for sample in samples)
    return out.getvalue()


def snapshot_text(snapshot: Snapshot) -> str:
    """A, B and C as psql shows the results of the document's SQL."""
    standing = snapshot.standing
    waiting = {name: count for name, count in standing.status.items() if count and name != "done"}
    oldest = [
        (row.id, row.created_at, row.attempts, row.next_retry_at, row.error_reason)
        for row in standing.oldest_pending
    ]
    parts = (
        f"-- snapshot {snapshot.label}, second {snapshot.at:g} of the lab; done: {standing.status['done']}",
        "-- A) status, of what has no processed_at",
        psql(("status", "count"), sorted(waiting.items())),
        "-- B) stuck",
        psql(("stuck_processing",), [(standing.stuck,)]),
        "-- C) the oldest pending",
        psql(("id", "created_at", "attempts", "next_retry_at", "error_reason"), oldest),
    )
    return "\n".join(parts)


def psql(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows in psql's aligned form; None is empty."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    head = " | ".join(name.center(width) for name, width in zip(names, widths, strict=True))
    rule = "-+-".join("-" * width for width in widths)
    lines = [" | ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    count = f"({len(rows)} row{'' if len(rows) == 1 else 's'})"
    return "\n".join([f" {head.rstrip()}", f"-{rule}-", *(f" {each}" for each in lines), count, ""])


def _safe(text: str) -> str:
    """Redacted as a whole, then cleaned line by line: a secret may hold a line end; the middle left out."""
    safe = "".join(f"{clean(each)}\n" for each in redact(text).splitlines())
    cut = len(safe) - 2 * HALF
    return f"{safe[:HALF]}\n… {cut:,} characters left out …\n{safe[-HALF:]}" if cut > 0 else safe
