"""A lab's report from its record: its texts, its figures, and a copy of the record that is safe to show."""

import math
from dataclasses import asdict
from typing import Any

from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import hides
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence.model import Figures, LabReport, adapter
from outboxctl.drills.labs.model import LabPhase, Record
from outboxctl.settings import Settings, env_names, is_secret

FEWEST = 50  # events; the throughput of fewer means nothing
SHORTEST = 0.5  # seconds; two samples
LONGEST = 2_000  # characters of one text
LARGEST = 1e15  # rows may claim to be infinitely old
HIDDEN = "***"


def reported(record: Record) -> LabReport:
    """A record with its lab's texts and its figures, safe to show."""
    lab = next(lab for lab in LABS if lab.name == record.lab)
    clean = tidy(record)
    texts = (lab.title, lab.question, lab.hypothesis)
    return LabReport(lab.name, lab.number, *texts, list(lab.by_hand), figures(clean), clean)


def figures(record: Record) -> Figures:
    """Its figures; None where there is nothing to take one from."""
    injected = next((timed.began for timed in record.phases if timed.phase is LabPhase.INJECT), 0.0)
    counts = [sample.look for sample in record.samples if sample.at >= injected]
    recovery = [timed.seconds for timed in record.phases if timed.phase is LabPhase.RECOVER]
    return Figures(
        recovery_seconds=round(sum(recovery), 2) if recovery else None,
        peak_lag=max((each.lag for each in counts), default=None),
        oldest_age_seconds=round(max(each.oldest_age for each in counts), 2) if counts else None,
        attempts=counts[-1].attempts if counts else None,
        throughput=_throughput(record),
    )


def _throughput(record: Record) -> float | None:
    """Events done a second after the last fault, until the last of them was."""
    ends = [window.ended for window in record.windows if window.ended is not None]
    after = [sample for sample in record.samples if ends and sample.at >= max(ends)]
    if not after:
        return None
    most = after[-1].look.done
    last = next(sample for sample in after if sample.look.done == most)
    events, seconds = most - after[0].look.done, last.at - after[0].at
    return round(events / seconds, 1) if events >= FEWEST and seconds >= SHORTEST else None


def tidy(record: Record) -> Record:
    """A copy that is safe to show: short and printable, without secrets; the long metrics are left out."""
    plain = asdict(record)
    for name, value in record.settings.items():
        plain["settings"][name] = HIDDEN if _secret(name) and value else value
    for snapshot in plain["snapshots"]:
        snapshot["metrics"] = {}
    return adapter(Record).validate_python(_value(plain))


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return type(value)(value) if type(value) is not str else brief(value, LONGEST)
    if isinstance(value, dict):
        return {brief(key, LONGEST): _value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return math.copysign(LARGEST, value)
    return value


def _secret(name: str) -> bool:
    field = next((field for field in Settings.model_fields if name in env_names(field)), None)
    if field is None:
        return hides(name.lower())
    # The URLs are secrets as a whole, but their masked form shows the host.
    return is_secret(field) and field not in {"database_url", "elastic_url"}
