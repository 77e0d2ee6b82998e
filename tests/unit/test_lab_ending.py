"""The end of a run of labs tells what to do next, and nothing that does not apply."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from outboxctl.cli.lab.catalogue import ordered
from outboxctl.cli.lab.summary import show
from outboxctl.drills.labs.model import LabPhase, LabRun, LabVerdict, Record, Timed

pytestmark = pytest.mark.no_servers


def record(lab: str, verdict: LabVerdict, *, played: bool = True) -> Record:
    phases = [Timed(LabPhase.PREPARE, 0.0, 1.0)] if played else []
    return Record(lab, "2026-02-03T10:00:00+00:00", verdict=verdict, phases=phases)


def shown(evidence: Path, *records: Record) -> str:
    verdict = LabVerdict.worst(each.verdict for each in records)
    out = io.StringIO()
    run = LabRun("2026-02-03T10:00:00+00:00", 1.0, verdict, {}, list(records))
    show(run, evidence, "en", Console(file=out, width=100))
    return out.getvalue()


def test_the_labs_of_the_document_come_first_and_the_page_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    text = shown(
        tmp_path, *(record(lab, LabVerdict.OK) for lab in ("zombie-worker", "bad-op", "kill-and-heal"))
    )
    assert text.index("kill-and-heal") < text.index("bad-op") < text.index("zombie-worker")
    assert text.endswith(f"Charts: {tmp_path / 'report.html'}\n")


def test_a_failed_lab_is_the_one_to_look_at(tmp_path: Path) -> None:
    text = shown(tmp_path, record("daemon", LabVerdict.INCONCLUSIVE), record("outage-hold", LabVerdict.FAIL))
    assert "outboxctl lab show outage-hold" in text
    assert "Charts" not in text


def test_a_verdict_under_other_settings_says_so(tmp_path: Path) -> None:
    failed = record("outage-hold", LabVerdict.FAIL)
    own = {lab.name: lab for lab in ordered()}["outage-hold"].settings
    failed.settings = {**own, "OUTBOX_BULK_SIZE": "41", "OUTBOX_LEASE_SECONDS": "9"}
    text = shown(tmp_path, failed)
    assert "this run had OUTBOX_BULK_SIZE=41, OUTBOX_LEASE_SECONDS=9." in text
    failed.settings = dict(own)
    assert "its own settings" not in shown(tmp_path, failed)


def test_nobody_is_sent_to_mend_what_did_not_run(tmp_path: Path) -> None:
    labs = record("bad-op", LabVerdict.OK), record("delete-then-stale", LabVerdict.INCONCLUSIVE, played=False)
    text = shown(tmp_path, *labs)
    assert text.endswith("Did not run, for what they need is not here: delete-then-stale\n")
    assert "repaired" not in text
