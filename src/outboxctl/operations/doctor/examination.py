"""One examination: end by end, check by check; what cannot be asked is said, and the rest goes on."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from outboxctl.domain.errors import RefusedError, UnreachableError, UntrustedError
from outboxctl.domain.printable import brief
from outboxctl.operations.doctor.model import DoctorReport, End, Finding, FindingSeverity, RuleGroup
from outboxctl.settings import Settings

Fact = TypeVar("Fact")
# Ids that no rule makes, with severity and why it matters: what could not be asked.
ASIDE = {
    "database-unreachable": (
        FindingSeverity.ERROR,
        "No worker can claim; applications cannot write events either.",
    ),
    "sink-unreachable": (
        FindingSeverity.ERROR,
        "No delivery succeeds; events wait, or fail once their attempts are spent.",
    ),
    "database-tls": (
        FindingSeverity.ERROR,
        "No connection is trusted by both sides, so no worker can claim.",
    ),
    "sink-tls": (
        FindingSeverity.ERROR,
        "No connection is trusted by both sides, so nothing is sent to the sink.",
    ),
    "sink-refuses": (
        FindingSeverity.ERROR,
        "The sink answers, but not this user or key: every delivery ends in auth.",
    ),
    "client-unusable": (
        FindingSeverity.ERROR,
        "No client can be made of these settings: a worker ends with exit 2.",
    ),
    "database-unusable": (
        FindingSeverity.ERROR,
        "No connection can be made by these settings: a worker ends with exit 2.",
    ),
    "not-examined": (FindingSeverity.INFO, "What it would have found, it did not."),
}


class StopError(Exception):
    """Nothing more can be learned of this end."""


@dataclass
class Examination:
    """Collects findings; `say` is told the name of each check as it begins."""

    settings: Settings
    ignored: Collection[str]
    say: Callable[[str], None]
    findings: list[Finding] = field(default_factory=list)
    examined: list[str] = field(default_factory=list)
    unreachable: bool = False

    def check(self, end: End, check: RuleGroup, read: Callable[[], Fact]) -> Fact | None:
        """Read the fact and apply the check's rules; returns it, None where it could not be read."""
        self.say(f"{end}: {check.name}")
        try:
            fact = read()
        except RefusedError as error:
            self._refused(end, check, error)
            return None
        self.examined.append(f"{end}: {check.name}")
        found = [f for rule in check.rules for f in rule.findings(end, fact, self.settings)]
        self.findings += found
        if check.vital and any(finding.severity is FindingSeverity.ERROR for finding in found):
            raise StopError
        return fact

    def _refused(self, end: End, check: RuleGroup, error: RefusedError) -> None:
        if check.vital:
            mend = "export ELASTIC_API_KEY=…  # or ELASTIC_USERNAME and ELASTIC_PASSWORD"
            self.aside("sink-refuses", end, str(error), mend)
            raise StopError
        what = f"{check.name.capitalize()} could not be examined: {error}"
        self.aside("not-examined", end, what, "use a role that may read it, or --ignore not-examined")

    def end(self, end: End, examine: Callable[["Examination"], None]) -> None:
        """Examine one end as far as it goes."""
        with suppress(StopError):
            try:
                examine(self)
            except UnreachableError as error:
                self.unreachable = True
                id_, mend = _away(end, error)
                self.aside(id_, end, str(error), mend)

    def aside(self, id_: str, end: End, what: str, mend: str) -> None:
        """A finding that no rule makes."""
        severity, why = ASIDE[id_]
        self.findings.append(Finding(id_, end, severity, brief(what), why, brief(mend)))

    def report(self) -> DoctorReport:
        """What was found and is not to be ignored."""
        kept = [finding for finding in self.findings if finding.id not in self.ignored]
        return DoctorReport(kept, self.examined, self.unreachable)


def _away(end: End, error: UnreachableError) -> tuple[str, str]:
    """The id, and the way to mend it."""
    if isinstance(error, UntrustedError):
        return f"{end}-tls", error.hint
    return (
        f"{end}-unreachable",
        "outboxctl services status  # yours elsewhere: that the server runs, and the URL",
    )


def optional(read: Callable[[], Fact]) -> Fact | None:
    """What `read` reads; None where that is refused: only a part of the last check relies on it."""
    with suppress(RefusedError):
        return read()
    return None
