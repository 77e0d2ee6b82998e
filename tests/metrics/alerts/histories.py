"""What workers' metrics were over an hour, and which alerts that has to make: a file for promtool."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "outbox.rules.yml"
HISTORIES = Path(__file__).with_name("histories.txt")
EXPRESSIONS = {
    "NOW": "sum by (alertname, alertstate, severity) (ALERTS)",
    "PAGES": 'sum by (alertname, alertstate) (ALERTS{severity="page"})',
    "FIRING": 'sum by (alertname, severity) (ALERTS{alertstate="firing"})',
    "FIRING_EACH": 'sum by (alertname, severity, namespace) (ALERTS{alertstate="firing"})',
    "EVER": 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[60m]))',
}
STATES = {"pending": "alertstate", "firing": "alertstate", "page": "severity", "ticket": "severity"}


def tests() -> dict[str, Any]:
    """The file that `promtool test rules` runs."""
    _, *histories = HISTORIES.read_text().split("\n\n")
    return {
        "rule_files": [str(RULES)],
        "evaluation_interval": "15s",
        "tests": [_test(*each.strip().splitlines()) for each in histories],
    }


def _test(head: str, expression: str, *lines: str) -> dict[str, Any]:
    name, _, interval = head.removeprefix("# ").removesuffix(")").partition(" (each ")
    looks = [line.removeprefix("at ").partition(":") for line in lines if line.startswith("at ")]
    series = [line.partition(":") for line in lines if not line.startswith("at ")]
    return {
        "name": name,
        "interval": interval or "15s",
        "input_series": [{"series": _series(what), "values": values.strip()} for what, _, values in series],
        "promql_expr_test": [
            {
                "expr": EXPRESSIONS[expression],
                "eval_time": at,
                "exp_samples": [_sample(each) for each in alerts.split(",") if each.strip()],
            }
            for at, _, alerts in looks
        ],
    }


def _series(text: str) -> str:
    """`lag_events w1` is that metric of the worker w1; further labels are as `op=upsert`."""
    name, *words = text.split()
    labels = {"job": "outboxctl"} | dict(_label(word) for word in words)
    if name != "up":
        labels["projection"] = "p"
    return f"{name if name == 'up' else f'outbox_{name}'}{_written(labels)}"


def _label(word: str) -> tuple[str, str]:
    name, _, value = word.rpartition("=")
    return name or "instance", value


def _sample(text: str) -> dict[str, Any]:
    """`OutboxStuck firing ticket 2` is two of them; 1 is left out."""
    alert, *words = text.split()
    value = int(words.pop()) if re.fullmatch(r"\d+", words[-1]) else 1
    labels = dict((STATES[word], word) if word in STATES else _label(word) for word in words)
    return {"labels": _written({"alertname": alert} | labels), "value": value}


def _written(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
