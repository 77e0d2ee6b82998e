"""`alerts`: rules for Prometheus."""

from typing import Annotated

import typer

from outboxctl.cli import parse
from outboxctl.cli.options import settings
from outboxctl.metrics.alerts.rules import RUNBOOK

LONGEST = 10 * 365 * 86_400  # seconds


def alerts(
    max_oldest_age: Annotated[
        float | None, typer.Option(min=1, max=LONGEST, help="Seconds [env: OUTBOX_SLA_OLDEST_AGE_SECONDS].")
    ] = None,
    max_failed_growth: Annotated[
        int, typer.Option(min=0, help="Events failed in 5 minutes without a page.")
    ] = 10,
    job: Annotated[
        str, parse.option("--job", parse.words, 200, help="The job that Prometheus scrapes workers as.")
    ] = "outboxctl",
    runbook: Annotated[
        str, parse.option("--runbook", parse.address, help="Address of the runbook; an alert is a section.")
    ] = RUNBOOK,
) -> None:
    """Print the alerts as a rule file for Prometheus, in YAML.

    Its limits are those of `outboxctl check`, but a longer time without a success, for a scrape may be
    lost. A page means that the search is, or will soon be, wrong; a ticket waits for the morning.

    Example: outboxctl alerts --max-oldest-age 120 > outbox.rules.yml
    """
    from outboxctl.metrics.alerts.queries import AlertLimits
    from outboxctl.metrics.alerts.rules import alerts as table
    from outboxctl.metrics.alerts.rules import rule_file

    sla = settings().sla_oldest_age_seconds if max_oldest_age is None else max_oldest_age
    limits = AlertLimits(sla, failed_growth=max_failed_growth, job=job)
    typer.echo(rule_file(table(limits), runbook), nl=False)
