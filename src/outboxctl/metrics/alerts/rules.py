"""The alerts as a rule file of Prometheus, in YAML that people can read."""

import json
from collections.abc import Sequence
from textwrap import indent

from outboxctl.metrics.alerts.model import Alert

RUNBOOK = "https://outboxctl.readthedocs.io/en/latest/runbook/"
# Prometheus' default is a minute: the value of a success could then be a minute old at each evaluation.
INTERVAL = 15.0
HEAD = "# Made by `outboxctl alerts`; docs/alerts.md says how to install it."
RULE = """\
- alert: {name}
  expr: |-
{expr}
  for: {wait}
  labels:
    severity: {severity}
  annotations:
    summary: {summary}
    description: {first}
    explain: outboxctl explain {name}
    runbook_url: {runbook}
"""


def rule_file(alerts: Sequence[Alert], runbook: str = RUNBOOK, *, interval: float = INTERVAL) -> str:
    """The file's text; `runbook` is the address of the page that has a section for each alert.

    `interval`: seconds between two evaluations.
    """
    rules = "".join(_rule(alert, f"{runbook}#{alert.anchor}") for alert in alerts)
    group = f"  - name: outboxctl\n    interval: {duration(interval)}\n    rules:\n"
    return f"{HEAD}\ngroups:\n{group}{indent(rules, ' ' * 6)}"


def duration(seconds: float) -> str:
    """A duration in Prometheus' notation, to the millisecond: 300 is `5m`, 1.5 is `1500ms`."""
    milliseconds = max(1, round(seconds * 1000))
    for size, unit in ((3_600_000, "h"), (60_000, "m"), (1000, "s")):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def _rule(alert: Alert, runbook: str) -> str:
    texts = {"summary": alert.summary, "first": alert.first, "runbook": runbook}
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in texts.items()}
    return RULE.format(
        name=alert.name,
        severity=alert.severity,
        expr=indent(alert.expr, " " * 4),
        wait=duration(alert.wait),
        **quoted,
    )
