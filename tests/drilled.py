"""Runs of labs as they might have been, for tests of what is made of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outboxctl.core.stats.drill_snapshot import EventCounts
from outboxctl.core.stats.snapshot import EventRow, PipelineStatus
from outboxctl.drills.labs.evidence import EvidenceFolder
from outboxctl.drills.labs.model import (
    LabCheck,
    LabPhase,
    LabSample,
    LabVerdict,
    Line,
    Record,
    Snapshot,
    Window,
)

BEGUN = "2026-02-03T10:00:00+00:00"


def look(**counts: Any) -> EventCounts:
    nothing = dict.fromkeys(("pending", "processing", "done", "failed", "stuck", "waiting"), 0)
    rest = {"oldest_age": 0.0, "attempts_most": 0, "attempts": 0, "half_held": 0}
    return EventCounts(**{**nothing, **rest, **counts})


def standing(error_reason: str = "connect") -> PipelineStatus:
    at = datetime(2026, 2, 3, 10, tzinfo=UTC)
    row = EventRow(
        "e1", "block", "b1", "upsert", 1, "pending", None, 8, error_reason, None, at, at, None, None
    )
    status = {"pending": 756, "processing": 50, "done": 246_547, "failed": 0}
    rest: dict[str, Any] = dict.fromkeys(("rate_in", "rate_out", "drain_seconds", "circuit_open"))
    rest |= {"lag": 806, "stuck": 50, "oldest_age_seconds": 12.5, "failed_by_reason": {}, "workers": []}
    return PipelineStatus(projection="p", status=status, oldest_pending=[row], **rest)


def record(
    lab: str = "bad-op", verdict: LabVerdict = LabVerdict.OK, *, text: str = "seen", **given: Any
) -> Record:
    """A lab of ten seconds with a fault from 2 to 6; `text` is everywhere where the world may speak."""
    samples = [
        LabSample(1.0, look(pending=900, oldest_age=9.0)),  # before the fault: no figure of it
        LabSample(2.0, look(pending=100, oldest_age=2.0)),
        LabSample(6.0, look(pending=400, processing=50, done=100, oldest_age=6.0, attempts=100)),
        LabSample(8.0, look(done=550, attempts=600)),
        LabSample(10.0, look(done=550, attempts=600)),
    ]
    made: dict[str, Any] = {
        "settings": {"OUTBOX_LEASE_SECONDS": "10", "OUTBOX_WORKER_ID": text},
        "why": "" if verdict is LabVerdict.OK else f"the backlog is gone: expected {text}, seen {text}",
        "seconds": 10.0,
        "checks": [LabCheck(LabPhase.CHECK, "the backlog is gone", text, text, verdict)],
        "conclusion": {"their reason": text},
        "windows": [Window(text, 2.0, 6.0)],
        "snapshots": [Snapshot("B", 5.0, standing(text), {"w1": [f"outbox_lag_events 1.0 # {text}"]})],
        "samples": samples,
        "timeline": [Line(2.0, LabPhase.INJECT, phase=True), Line(2.5, text)],
    }
    return Record(lab, BEGUN, verdict=verdict, **{**made, **given})


def evidence(path: Path, *records: Record, language: str = "en") -> Path:
    """Write the folder that a run of these leaves."""
    folder = EvidenceFolder(path, language)
    folder.begin([each.lab for each in records])
    for each in records:
        folder.add(each)
    folder.finish({"search": "elasticsearch 9.0.4"})
    return path
