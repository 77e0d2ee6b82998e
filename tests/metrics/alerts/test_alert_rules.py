"""The rules that ship are those of the code, on metrics that exist, with the limits that one gives."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from metrics.alerts import histories
from metrics.alerts.programs import needed
from outboxctl.metrics.alerts.queries import AlertLimits, duration
from outboxctl.metrics.alerts.rules import alerts, rule_file
from outboxctl.metrics.registry import Metrics
from processes import Cli, environment

pytestmark = pytest.mark.no_servers
SHIPPED = Path(__file__).parents[3] / "deploy" / "prometheus"
NAMES = {alert.name for alert in alerts(AlertLimits())}


@pytest.fixture
def bare(tmp_path: Path) -> Cli:
    """Without any setting: whoever writes rules needs no servers."""
    return Cli(environment(), tmp_path)


def _rules(text: str) -> dict[tuple[str, str], Any]:
    [group] = yaml.safe_load(text)["groups"]
    return {(rule["alert"], rule["labels"]["severity"]): rule for rule in group["rules"]}


def test_what_ships_is_what_the_command_prints(bare: Cli) -> None:
    assert (SHIPPED / "outbox.rules.yml").read_text() == bare.ok("alerts"), "run `make docs`"


def test_every_alert_speaks_of_metrics_that_there_are() -> None:
    known = {name for name, *_ in Metrics().families()}
    for alert in alerts(AlertLimits(job="mine")):
        assert not re.search(r'\b(outbox_\w+|up)\b(?!{job="mine"})', alert.expr)
        named = set(re.findall(r"\boutbox_\w+", alert.expr))
        assert named <= known
        assert named or "up{" in alert.expr


def test_every_rule_says_what_to_do_and_where_to_read_on() -> None:
    for (name, _), rule in _rules(rule_file(alerts(AlertLimits()), "https://example.org/x")).items():
        assert {"summary", "description", "explain", "runbook_url"} == set(rule["annotations"])
        assert rule["annotations"]["explain"] == f"outboxctl explain {name}"
        assert rule["annotations"]["runbook_url"] == f"https://example.org/x#{name.lower()}"


BUSY = """
rule_files: [short.rules.yml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {series: 'up{job="outboxctl"}', values: 1x40}
      - {series: 'outbox_gauges_refreshed_timestamp_seconds{job="outboxctl"}', values: -14+15x40}
      - {series: 'outbox_lag_events{job="outboxctl"}', values: 40x40}
      - {series: 'outbox_last_success_timestamp_seconds{job="outboxctl"}', values: %s}
    promql_expr_test:
      - {expr: 'count by (alertname) (ALERTS{alertstate="firing"})', eval_time: 10m, exp_samples: [%s]}
"""


FIRES = """{labels: '{alertname="OutboxNoSuccess"}', value: 2}"""  # the ticket, and the page


@pytest.mark.parametrize(("success", "fires"), [("-14+15x40", ""), ("0x40", FIRES)])
def test_an_sla_shorter_than_a_scrape_is_no_page_by_itself(success: str, fires: str, tmp_path: Path) -> None:
    """Each success is 14 seconds old when it is looked at, as a scrape each 15 seconds may have it."""
    (tmp_path / "short.rules.yml").write_text(rule_file(alerts(AlertLimits(oldest_age=10.0))))
    (tmp_path / "busy.yml").write_text(BUSY % (success, fires))
    _accepts("promtool", "test", "rules", tmp_path / "busy.yml")


def test_each_alert_is_pending_fires_and_is_resolved_and_what_is_well_wakes_nobody(tmp_path: Path) -> None:
    (tmp_path / "histories.yml").write_text(json.dumps(histories.tests()))
    _accepts("promtool", "test", "rules", tmp_path / "histories.yml")


def test_what_ships_is_accepted_by_prometheus_and_alertmanager() -> None:
    _accepts("promtool", "check", "rules", histories.RULES)
    _accepts("promtool", "check", "config", SHIPPED / "prometheus.yml")
    _accepts("amtool", "check-config", SHIPPED / "alertmanager.yml")


def _accepts(program: str, *arguments: str | Path) -> None:
    done = subprocess.run([needed(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_limits_come_from_settings_and_flags(bare: Cli) -> None:
    given = _rules(bare.ok("alerts", env={"OUTBOX_SLA_OLDEST_AGE_SECONDS": "90"}))
    assert given["OutboxOldestAgeOverSla", "page"]["expr"].endswith("> 90")
    assert given["OutboxNoSuccess", "page"]["for"] == "90s"
    flags = ["--max-oldest-age", "120", "--max-failed-growth", "3", "--job", 'my "job"']
    flagged = _rules(bare.ok("alerts", *flags, env={"OUTBOX_SLA_OLDEST_AGE_SECONDS": "90"}))
    assert flagged["OutboxOldestAgeOverSla", "page"]["expr"].endswith("> 120")
    assert flagged["OutboxTerminalFailures", "page"]["expr"].endswith("> 3")
    assert flagged["OutboxWorkerGone", "ticket"]["expr"] == r'up{job="my \"job\""} == 0'


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


def test_a_ticket_never_keeps_a_page_back() -> None:
    for rule in yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())["inhibit_rules"]:
        assert 'severity = "page"' in rule["source_matchers"], rule
