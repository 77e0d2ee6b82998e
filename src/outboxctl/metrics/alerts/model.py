"""An alert, and the limits that the alerts are made for."""

from dataclasses import dataclass
from enum import StrEnum

MINUTE = 60.0  # seconds


class AlertSeverity(StrEnum):
    """`page`: the search is, or will soon be, wrong. `ticket`: a cause or a loss that can wait a night."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True)
class AlertLimits:
    """The limits of the alerts; ages are in seconds.

    `job`: Prometheus' job of the workers. `minute`: seconds that a minute of the rules lasts, fewer in tests.
    """

    oldest_age: float = 300.0
    no_success: float = 60.0
    failed_growth: int = 10
    job: str = "outboxctl"
    minute: float = MINUTE


@dataclass(frozen=True)
class Alert:
    """One rule: it fires once `expr` has had a result for `wait` seconds.

    `summary` and `first` (what to do first) may hold Prometheus' templates.
    """

    name: str
    severity: AlertSeverity
    expr: str
    wait: float
    summary: str
    first: str

    @property
    def anchor(self) -> str:
        """Its section of the runbook."""
        return self.name.lower()
