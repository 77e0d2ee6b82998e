"""What is wrong with the sink or the database: in full for the log, and in our own words for the probes."""

from dataclasses import dataclass

from outboxctl.domain.failures import Classification


@dataclass(frozen=True)
class Problem:
    """What is wrong: `text` for the log, which may quote either end; `public` in our own words only.

    The probes ask for no login, so they show the second.
    """

    text: str
    public: str


def problem_of(finding: Classification, *, begin: str = "", end: str = "") -> Problem:
    """A finding of the sink as a problem, between two texts of our own."""
    reason = f"{finding.reason}: "
    text = reason + finding.error.removeprefix(reason)
    return Problem(f"{begin}{text}{end}", f"{begin}{finding.public}{end}")
