"""The rules that ship are those of the code, on metrics that exist, with the limits that one gives."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from outboxctl.alerts.model import Limits
from outboxctl.alerts.rules import duration, rule_file
from outboxctl.alerts.table import alerts
from outboxctl.metrics.registry import Metrics
from processes import Cli, environment

pytestmark = pytest.mark.no_servers
SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
NAMES = {alert.name for alert in alerts(Limits())}


@pytest.fixture
def bare(tmp_path: Path) -> Cli:
    """Without any setting: whoever writes rules needs no servers."""
    return Cli(environment(), tmp_path)


def _rules(text: str) -> dict[tuple[str, str], Any]:
    [group] = yaml.safe_load(text)["groups"]
    return {(rule["alert"], rule["labels"]["severity"]): rule for rule in group["rules"]}


def test_what_ships_is_what_the_command_prints(bare: Cli) -> None:
    assert (SHIPPED / "outbox.rules.yml").read_text() == bare.ok("alerts", "rules"), "run `make docs`"


def test_every_alert_speaks_of_metrics_that_there_are() -> None:
    known = {name for name, *_ in Metrics().families()}
    for alert in alerts(Limits()):
        named = set(re.findall(r"\boutbox_\w+", alert.expr))
        assert named <= known
        assert named or "up{" in alert.expr


def test_every_rule_says_what_to_do_and_where_to_read_on() -> None:
    for (name, _), rule in _rules(rule_file(alerts(Limits()), "https://example.org/x")).items():
        assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
        page = rule["annotations"]["runbook_url"].removeprefix("https://example.org/x/").removesuffix("/")
        assert page.replace("-", "") == name.lower()


def test_limits_come_from_settings_and_flags(bare: Cli) -> None:
    given = _rules(bare.ok("alerts", "rules", env={"OUTBOX_SLA_OLDEST_AGE_SECONDS": "90"}))
    assert given["OutboxOldestAgeOverSla", "page"]["expr"].endswith("> 90")
    assert given["OutboxNoSuccess", "page"]["for"] == "90s"
    flags = ("--max-oldest-age", "120", "--max-failed-growth", "3", "--job", 'my "job"')
    flagged = _rules(bare.ok("alerts", "rules", *flags, env={"OUTBOX_SLA_OLDEST_AGE_SECONDS": "90"}))
    assert flagged["OutboxOldestAgeOverSla", "page"]["expr"].endswith("> 120")
    assert flagged["OutboxTerminalFailures", "page"]["expr"].endswith("> 3")
    assert flagged["OutboxWorkerGone", "ticket"]["expr"] == r'up{job="my \"job\""} == 0'


@pytest.mark.parametrize(
    ("flag", "value"), [("--runbooks", "ftp://x"), ("--runbooks", "http://a b"), ("--job", " ")]
)
def test_a_bad_flag_is_named(flag: str, value: str, bare: Cli) -> None:
    done = bare("alerts", "rules", flag, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert flag in done.stderr


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5m"), (90, "90s"), (3600, "1h"), (1.5, "1500ms"), (0.0001, "1ms")]
)
def test_durations_as_prometheus_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_alertmanagers_example_names_alerts_that_there_are() -> None:
    example = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())
    named = set(re.findall(r"Outbox\w+", str(example["inhibit_rules"])))
    assert named
    assert named <= NAMES
