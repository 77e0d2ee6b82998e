"""The example for Alertmanager, in a real one: one cause, one page."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from metrics.alerts.monitoring import running
from metrics.alerts.programs import installed
from outboxctl.drills import services
from processes import eventually

pytestmark = pytest.mark.no_servers
EXAMPLE = Path(__file__).parents[3] / "deploy" / "prometheus" / "alertmanager.yml"
ONE = {"job": "outboxctl", "projection": "search_index_to_elastic"}


@pytest.fixture
def manager(tmp_path: Path) -> Any:
    """The port of a running Alertmanager. Debian's finds its templates only where it is installed."""
    if not installed("alertmanager"):
        pytest.skip("needs an installed Alertmanager")
    port = services.fresh_port()
    given = {
        "--config.file": EXAMPLE,
        "--storage.path": tmp_path / "silences",
        "--web.listen-address": f"127.0.0.1:{port}",
        "--cluster.listen-address": "",
    }
    with running("alertmanager", given, tmp_path, port):
        yield port


def test_one_cause_is_one_page(manager: int) -> None:
    page, ticket = {"severity": "page"}, {"severity": "ticket"}
    fired = [
        {"alertname": "OutboxNoSuccess", **ONE, **page},
        {"alertname": "OutboxOldestAgeOverSla", **ONE, **page},
        {"alertname": "OutboxOldestAgeOverSla", **ONE, **page, "namespace": "elsewhere"},
        {"alertname": "OutboxNoSuccess", **ONE, **ticket, "namespace": "elsewhere"},
        {"alertname": "OutboxRetryStorm", **ONE, **ticket},
        {"alertname": "OutboxWorkerGone", "job": "outboxctl", **page},
        {"alertname": "OutboxWorkerGone", "job": "outboxctl", "instance": "w1", **ticket},
    ]
    _ask(manager, json.dumps([{"labels": labels} for labels in fired]).encode())
    kept_back = [("OutboxOldestAgeOverSla", "page", None), ("OutboxWorkerGone", "ticket", None)]
    eventually(lambda: _suppressed(manager) == kept_back, within=10, what="inhibited")


def _suppressed(port: int) -> list[tuple[str, str, str | None]]:
    found = [each["labels"] for each in _ask(port) if each["status"]["state"] == "suppressed"]
    return sorted((each["alertname"], each["severity"], each.get("namespace")) for each in found)


def _ask(port: int, given: bytes | None = None) -> Any:
    url, headers = f"http://127.0.0.1:{port}/api/v2/alerts", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, given, headers), timeout=10) as answer:
        return json.loads(answer.read() or b"null")
