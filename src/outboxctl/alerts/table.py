"""Every alert there is."""

from outboxctl.alerts.model import Alert, Limits
from outboxctl.alerts.pages import pages
from outboxctl.alerts.tickets import tickets


def alerts(limits: Limits) -> list[Alert]:
    """All alerts, pages first."""
    return [*pages(limits), *tickets(limits)]
