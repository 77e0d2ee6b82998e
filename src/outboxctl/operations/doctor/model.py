"""The types of an examination: findings, the rules that make them, and the groups of rules.

Facts (frozen dataclasses, read by `core.inspect` and `sink.inspect`) go through rules: a rule is a pure
function of a fact and the settings, and its docstring is what the report says about why it matters.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from outboxctl.domain.printable import brief
from outboxctl.operations.doctor.remedies import reaching
from outboxctl.settings import Settings


class End(StrEnum):
    """What is examined; `settings` is also where both ends have to fit together."""

    DATABASE = "database"
    SINK = "sink"
    SETTINGS = "settings"


class FindingSeverity(StrEnum):
    """error: deliveries fail or are lost; warning: they will, or something is slow; info: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


ERROR, WARNING, INFO = FindingSeverity


@dataclass(frozen=True)
class Finding:
    """What is wrong, why it matters, and the command that fixes it."""

    id: str
    end: End
    severity: FindingSeverity
    what: str
    why: str
    mend: str


Case = tuple[str, str]  # what is wrong, the command that fixes it
Look = Callable[[Any, Settings], Iterable[Case]]


@dataclass(frozen=True)
class DoctorRule:
    """One thing that can be wrong: `look` takes a fact, or each item of a list, and yields cases of it."""

    id: str
    severity: FindingSeverity
    why: str
    look: Look

    def findings(self, end: End, fact: Any, settings: Settings) -> list[Finding]:
        """What is wrong with the fact; names in it may be hostile, so control characters are escaped."""
        return [
            Finding(
                self.id, end, self.severity, brief(what), self.why, brief(reaching(mend, settings), 2_000)
            )
            for each in (fact if isinstance(fact, list) else [fact])
            for what, mend in self.look(each, settings)
        ]


@dataclass(frozen=True)
class RuleGroup:
    """Rules that share a fact. `vital`: after an error the end is left; `spared`: not after a refusal."""

    name: str
    rules: list[DoctorRule] = field(default_factory=list)
    vital: bool = False
    spared: bool = False

    def rule(self, id: str, severity: FindingSeverity) -> Callable[[Look], DoctorRule]:  # noqa: A002
        """Add a rule made of a function; why it matters is the function's docstring."""

        def add(look: Look) -> DoctorRule:
            self.rules.append(DoctorRule(id, severity, " ".join((look.__doc__ or "").split()), look))
            return self.rules[-1]

        return add


@dataclass(frozen=True)
class DoctorReport:
    """All findings, what was examined, and whether an end could not be reached."""

    findings: list[Finding]
    examined: list[str]
    unreachable: bool

    @property
    def counts(self) -> bool:
        """Whether any finding is more than information."""
        return any(finding.severity is not FindingSeverity.INFO for finding in self.findings)
