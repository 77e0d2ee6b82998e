"""Every alert there is."""

from outboxctl.metrics.alerts.model import Alert, AlertLimits
from outboxctl.metrics.alerts.pages import pages
from outboxctl.metrics.alerts.tickets import tickets


def alerts(limits: AlertLimits) -> list[Alert]:
    """All alerts, pages first."""
    return [*pages(limits), *tickets(limits)]
