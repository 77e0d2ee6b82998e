"""The dashboard draws what a worker exposes before it has done anything: a panel needs it at 0."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from outboxctl.metrics.registry import Metrics

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "outbox.json"
pytestmark = pytest.mark.no_servers
VARIABLES = {
    "$namespace": ".*",
    "$projection": "search_index_to_elastic",
    "$instance": ".*",
    "$__rate_interval": "5m",
}
SCRAPED = {"instance", "job", "namespace"}  # what Prometheus adds to every series
# The little of PromQL that the panels use: name{label=~"value", …}[range], and `by (label, …)`.
SELECTOR = re.compile(r"(?<![\w\"$])(outbox_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
BY = re.compile(r"\bby \(([^)]*)\)")


def _queries() -> Iterator[tuple[str, str, str]]:
    """Title, query with its variables filled in, legend."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield panel["title"], query, target["legendFormat"]


def test_every_query_finds_its_series_on_a_fresh_worker() -> None:
    exposed: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(Metrics().snapshot().decode()):
        for sample in family.samples:
            exposed.setdefault(sample.name, []).append(dict(sample.labels))
    for title, query, legend in _queries():
        assert "$" not in query, f"{title}: a variable that is none"
        selectors = SELECTOR.findall(query)
        assert selectors, title
        for name, matchers in selectors:
            assert name in exposed, f"{title}: no worker exposes {name}"
            assert any(_fits(labels, matchers) for labels in exposed[name]), f"{title}: {query}"
        known = SCRAPED.union(*(exposed[name][0] for name, _ in selectors))
        grouped = {label.strip() for each in BY.findall(query) for label in each.split(",")}
        assert grouped <= known, f"{title}: no series has {grouped - known}"
        named = set(re.findall(r"{{(\w+)}}", legend))
        assert named <= grouped - {"le"}, f"{title}: the legend names what the query does not keep"


def _fits(labels: dict[str, str], matchers: str) -> bool:
    for label, how, value in MATCHER.findall(matchers):
        if label in SCRAPED:
            continue
        same = bool(re.fullmatch(value, labels.get(label, ""))) if "~" in how else labels.get(label) == value
        if label not in labels or same == how.startswith("!"):
            return False
    return True
