"""One examination, check by check: what cannot be read becomes a finding, and the rest goes on."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from outboxctl.domain.errors import RefusedError, UnreachableError, UntrustedError
from outboxctl.domain.printable import brief
from outboxctl.net.urls import local, parse_url
from outboxctl.operations.doctor.model import ERROR, INFO, DoctorReport, End, Finding, RuleGroup
from outboxctl.operations.doctor.remedies import reaching, request
from outboxctl.settings import Settings

Fact = TypeVar("Fact")
# Findings that no rule makes: what could not be examined. By id: severity, and why it matters.
WITHOUT_A_RULE = {
    "database-unreachable": (ERROR, "No worker can claim; applications cannot write events either."),
    "sink-unreachable": (ERROR, "No delivery succeeds; events wait, or fail once their attempts are spent."),
    "database-tls": (ERROR, "No connection is trusted by both sides, so no worker can claim."),
    "sink-tls": (ERROR, "No connection is trusted by both sides, so nothing is sent to the sink."),
    "sink-refuses": (ERROR, "The sink answers, but not this user or key: every delivery ends in auth."),
    "client-unusable": (ERROR, "No client can be made of these settings: a worker ends with exit 2."),
    "database-unusable": (ERROR, "No connection can be made by these settings: a worker ends with exit 2."),
    "not-examined": (INFO, "What it would have found, it did not."),
}


class StopError(Exception):
    """No further check of this end makes sense."""


@dataclass
class Examination:
    """Collects findings; `say` is called with the name of each check as it begins."""

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
        findings = [f for rule in check.rules for f in rule.findings(end, fact, self.settings)]
        self.findings += findings
        if check.vital and any(finding.severity is ERROR for finding in findings):
            raise StopError
        return fact

    def _refused(self, end: End, check: RuleGroup, error: RefusedError) -> None:
        if check.vital and not check.spared:
            mend = "export ELASTIC_API_KEY=…  # or ELASTIC_USERNAME and ELASTIC_PASSWORD"
            self.add("sink-refuses", end, str(error), mend)
            raise StopError
        what = f"{check.name.capitalize()} could not be examined: {error}"
        self.add("not-examined", end, what, "use a role that may read it, or --ignore not-examined")

    def end(self, end: End, examine: Callable[["Examination"], None]) -> None:
        """Examine one end as far as it goes."""
        with suppress(StopError):
            try:
                examine(self)
            except UnreachableError as error:
                self.unreachable = True
                if isinstance(error, UntrustedError):
                    self.add(f"{end}-tls", end, str(error), error.hint)
                else:
                    self.add(f"{end}-unreachable", end, str(error), _looking(end, self.settings))

    def add(self, id_: str, end: End, what: str, mend: str) -> None:
        """Add a finding that no rule makes."""
        severity, why = WITHOUT_A_RULE[id_]
        self.findings.append(Finding(id_, end, severity, brief(what), why, brief(mend)))

    def report(self) -> DoctorReport:
        """The findings that are not to be ignored."""
        kept = [finding for finding in self.findings if finding.id not in self.ignored]
        return DoctorReport(kept, self.examined, self.unreachable)


def optional(read: Callable[[], Fact]) -> Fact | None:
    """What `read` returns; None where that is refused: only a part of the last check relies on it."""
    with suppress(RefusedError):
        return read()
    return None


def _looking(end: End, settings: Settings) -> str:
    """Where to look first: only one server on this machine can be one of `outboxctl services`."""
    urls = [parse_url(url) for url in settings.sink_urls]
    if end is End.SINK and not (len(urls) == 1 and local(urls[0].hostname or "")):
        way = "at each node: does it run, does a firewall let this machine through?"
        return reaching(f"{request('GET', '_cluster/health?local=true')}  # {way}", settings)
    return "outboxctl services status  # yours elsewhere: that the server runs, and the URL"
