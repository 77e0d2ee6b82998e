"""What a record comes to in figures."""

from collections.abc import Sequence
from itertools import pairwise

from outboxctl.drills.labs.evidence.model import Figures
from outboxctl.drills.labs.model import LabPhase, LabSample, Record

FEWEST = 50  # events; a pace of fewer says nothing
SHORTEST = 0.5  # seconds; two samples


def figures(record: Record) -> Figures:
    """Its figures; None where there is nothing to take one from."""
    injected = next((timed.began for timed in record.phases if timed.phase is LabPhase.INJECT), 0.0)
    looks = [sample.look for sample in record.samples if sample.at >= injected]
    recovery = [timed.seconds for timed in record.phases if timed.phase is LabPhase.RECOVER]
    return Figures(
        recovery_seconds=round(sum(recovery), 2) if recovery else None,
        peak_lag=max((look.lag for look in looks), default=None),
        oldest_age_seconds=round(max(look.oldest_age for look in looks), 2) if looks else None,
        attempts=looks[-1].attempts if looks else None,
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


def rates(samples: Sequence[LabSample]) -> list[tuple[float, float]]:
    """Events done a second between each sample and the next, by the second of the lab."""
    return [
        (later.at, (later.look.done - earlier.look.done) / (later.at - earlier.at))
        for earlier, later in pairwise(samples)
        if later.at > earlier.at
    ]
