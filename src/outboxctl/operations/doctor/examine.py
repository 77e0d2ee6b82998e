"""`examine`: both ends and the space between, as a report."""

from collections.abc import Callable, Collection
from datetime import datetime

from outboxctl.operations.doctor.examination import ASIDE, Examination
from outboxctl.operations.doctor.examiner import CHECKS, Examiner
from outboxctl.operations.doctor.model import DoctorReport, End, FindingSeverity
from outboxctl.settings import Settings


def examine(
    settings: Settings,
    *,
    only: Collection[End] = (),
    ignored: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
    now: datetime | None = None,
) -> DoctorReport:
    """Examine the ends named in `only` (all of them if empty), leaving out findings by id.

    Nothing is changed. An end that is away is a finding, and the others are examined all the same.
    UsageError only where DATABASE_URL is not set and the database is to be examined.
    """
    ends, exam = Examiner(now), Examination(settings, ignored, say)
    ways = {End.DATABASE: ends.database, End.SINK: ends.sink, End.SETTINGS: ends.together}
    if not only or End.DATABASE in only:
        settings.require_database_url()
    for end, way in ways.items():
        if not only or end in only:
            exam.end(end, way)
    return exam.report()


def catalogue() -> dict[str, tuple[str, FindingSeverity, str]]:
    """Every id that a finding can have: its end (or `any`), severity, and why it matters."""
    aside = {
        id_: (id_.partition("-")[0] if id_.startswith(tuple(End)) else "any", severity, why)
        for id_, (severity, why) in ASIDE.items()
    }
    ruled = {
        rule.id: (str(end), rule.severity, rule.why)
        for end, checks in CHECKS.items()
        for check in checks
        for rule in check.rules
    }
    return aside | ruled
