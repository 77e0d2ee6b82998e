"""A real Prometheus, on a rule file whose minutes are seconds."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metrics.alerts.programs import program
from outboxctl.drills import services
from outboxctl.metrics.alerts.model import AlertLimits
from outboxctl.metrics.alerts.rules import rule_file
from outboxctl.metrics.alerts.table import alerts
from processes import eventually

LIMITS = AlertLimits(oldest_age=5.0, no_success=2.0, minute=1.0)
SCRAPE = "500ms"  # half a minute


@dataclass(frozen=True)
class Target:
    """A worker's port and the namespace that its alerts carry."""

    port: int
    namespace: str


@dataclass(frozen=True)
class Monitoring:
    """It, by its port."""

    port: int

    def query(self, expr: str) -> list[Any]:
        """The series that an expression finds now."""
        found = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expr})}")
        return list(found["data"]["result"])

    def firing(self, namespace: str) -> set[str]:
        """The names of the alerts that fire for this namespace now."""
        series = self.query(f'ALERTS{{namespace="{namespace}", alertstate="firing"}}')
        return {each["metric"]["alertname"] for each in series}

    def history(self, namespace: str) -> dict[str, dict[str, list[float]]]:
        """When each alert was seen `pending` and `firing`, by name; severities are one."""
        found: dict[str, dict[str, list[float]]] = {}
        for series in self.query(f'ALERTS{{namespace="{namespace}"}}[10m]'):
            labels, times = series["metric"], [float(at) for at, _ in series["values"]]
            states = found.setdefault(labels["alertname"], {"pending": [], "firing": []})
            states[labels["alertstate"]] = sorted(states[labels["alertstate"]] + times)
        return found

    def texts(self) -> str:
        """What the alerts that are active now say to people."""
        active = self._get("/api/v1/alerts")["data"]["alerts"]
        return "\n".join(text for alert in active for text in alert["annotations"].values())

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def monitoring(targets: Sequence[Target], folder: Path) -> Iterator[Monitoring]:
    """Prometheus, watching these workers; ended in the end."""
    watch = Monitoring(services.fresh_port())
    (folder / "rules.yml").write_text(rule_file(alerts(LIMITS), interval=LIMITS.minute / 4))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_config(targets)))
    given = {
        "--config.file": folder / "prometheus.yml",
        "--storage.tsdb.path": folder / "series",
        "--web.listen-address": f"127.0.0.1:{watch.port}",
    }
    with running("prometheus", given, folder, watch.port):
        yield watch


@contextmanager
def running(name: str, given: dict[str, Any], folder: Path, port: int) -> Iterator[None]:
    """One of the programs with these flags, once it is ready; its log is left in the folder."""
    with (folder / f"{name}.log").open("w") as log:
        options = [f"{flag}={value}" for flag, value in given.items()]
        process = subprocess.Popen([program(name), *options], stdout=log, stderr=log, cwd=folder)
    try:
        eventually(lambda: _answers(port), within=30, what=name)
        yield
    finally:
        process.kill()
        process.wait(10)


def _config(targets: Sequence[Target]) -> dict[str, Any]:
    workers = [{"targets": [f"127.0.0.1:{t.port}"], "labels": {"namespace": t.namespace}} for t in targets]
    return {
        "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "outboxctl", "static_configs": workers}],
    }


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
            return True
    except OSError:
        return False
