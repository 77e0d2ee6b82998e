"""Who is woken finds a page, whole; `test_named_in_prose.py` looks at the commands on it."""

import re
from pathlib import Path
from typing import Any

import pytest

from docs.test_named_in_prose import unknown
from outboxctl.metrics.alerts.queries import AlertLimits
from outboxctl.metrics.alerts.rules import alerts

pytestmark = pytest.mark.no_servers
RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (Outbox\w+)\n(.+?)(?=^## |\Z)", RUNBOOK, re.M | re.S))


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    names = {alert.name for alert in alerts(AlertLimits())}
    assert set(SECTIONS) == names
    assert set(re.findall(r"^\| \[(\w+)\]\(#", RUNBOOK, re.MULTILINE)) == names


@pytest.mark.parametrize("alert", alerts(AlertLimits()), ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_what_an_alert_says_to_do_first_exists(alert: Any) -> None:
    assert not [each for each in re.findall(r"`outboxctl ([^`]+)`", alert.first) if unknown(each)]
