"""The Grafana dashboard, written from one table: `python -m tools.dashboard` (`make docs`).

Grafana's JSON repeats forty lines for each panel; here a panel is what differs: a title, queries,
a unit, and what to do about bad values. A test holds `deploy/grafana/outbox.json` equal to this.
The JSON keeps to Grafana's own schemas (github.com/grafana/grafana-foundation-sdk, its folder jsonschema).
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.by_line import by_line

from outboxctl.metrics.alerts.queries import FRESH, REFRESHED

PLACE = Path("deploy/grafana/outbox.json")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24  # columns of Grafana's grid
SLA = 300.0  # seconds: OUTBOX_SLA_OLDEST_AGE_SECONDS by default
# Outboxes of one job are told apart by `namespace`, as in the alerts; `.*` finds those that have none, too.
ANY = '{namespace=~"$namespace", projection=~"$projection"}'
HERE = '{namespace=~"$namespace", projection=~"$projection", instance=~"$instance"}'
# What a worker does for all projections together, which has the label of the built-in one.
PROCESS = '{namespace=~"$namespace", instance=~"$instance"}'
PACE = "[$__rate_interval]"
STAT = {
    "colorMode": "value",
    "graphMode": "area",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "showPercentChange": False,
    "textMode": "value",
    "wideLayout": True,
}


@dataclass(frozen=True)
class Panel:
    """One panel: its queries by legend, and what to do about bad values.

    Units are Grafana's names. Above `limit` it turns red. A `stat` shows a figure, a `timeseries` lines.
    """

    title: str
    queries: dict[str, str]
    help: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    limit: float | None = None


def _pace(metric: str, by: str) -> dict[str, str]:
    """Events a second by one label; no line for those that never happened."""
    return {f"{{{{{by}}}}}": f"sum by ({by}) (rate({metric}{HERE}{PACE})) > 0"}


def _share(metric: str, *quantiles: float) -> dict[str, str]:
    """Quantiles of a histogram over all workers."""
    rate = f"sum by (le) (rate({metric}_bucket{HERE}{PACE}))"
    return {f"p{share * 100:g}": f"histogram_quantile({share}, {rate})" for share in quantiles}


def _shared(gauge: str, by: str = "job, namespace, projection") -> str:
    """What workers read from the table, as in the alerts: only of workers that have read it lately."""
    return f"max by ({by}) ({gauge}{ANY} and time() - {REFRESHED}{ANY} < {60 * FRESH})"


def _grown_by_hour(metric: str) -> str:
    """How much a counter grew in an hour, whatever its op and reason.

    Each worker's series are added up first, as in the alerts: `increase()` misses the value at which a
    series appears, and those of rare reasons appear with their first failure.
    """
    return f"sum(increase((sum without (op, reason) ({metric}{ANY}))[1h:1m]))"


def _stat(title: str, query: str, help_: str, *, unit: str = "short", limit: float | None = None) -> Panel:
    return Panel(title, {title: query}, help_, unit, "stat", 6, limit)


# What every worker reads from the same table (lag, age, stuck) is the same in all of them: the highest
# counts, of those who have read it lately; projections are added up. What is a worker's own (in flight, what
# it did) is added up.
LAG, STUCK = (f"sum({_shared(name)})" for name in ("outbox_lag_events", "outbox_stuck_processing_events"))
OLDEST = f"max({_shared('outbox_oldest_age_seconds')})"
LAG_OF_EACH = {"{{projection}}": _shared("outbox_lag_events", "projection")}
OLDEST_OF_EACH = {"{{projection}}": _shared("outbox_oldest_age_seconds", "projection")}
OUT = f"sum(rate(outbox_processed_total{ANY}{PACE}))"
ROWS = {
    "Is it moving": (
        _stat("Lag", LAG, "Pending and processing events. It grows: see `out` below, then the next row."),
        _stat(
            "Since the last success",
            f"time() - (max(outbox_last_success_timestamp_seconds{ANY}) > 0)",
            "Long, with lag above 0: nothing is delivered. Run `outboxctl check`, then `outboxctl doctor`.",
            unit="s",
            limit=SLA,
        ),
        _stat(
            "Stuck",
            STUCK,
            "Their lease or processing time ran out. A living worker takes them back within seconds; "
            "if it stays, no worker runs: `outboxctl stuck`.",
            limit=0,
        ),
        _stat(
            "Failed for good in the last hour",
            _grown_by_hour("outbox_terminal_failed_total"),
            "These are not tried again: `outboxctl failed list`, remove the cause, then `outboxctl replay`.",
            limit=0,
        ),
        Panel(
            "Done a second",
            {"out": OUT},
            "0 while there is lag: see the rows on failures and on workers.",
            "cps",
        ),
        Panel("Lag by projection", LAG_OF_EACH, "A saw-tooth is normal; if it only rises: add workers."),
        Panel(
            "Done without a write of their own",
            _pace("outbox_idempotent_noop_total", "reason"),
            "The sink already held this version or a newer one. Many `superseded` are normal after a replay.",
            "cps",
        ),
    ),
    "Why is it failing": (
        Panel(
            "Deliveries that failed, by reason",
            _pace("outbox_failed_total", "reason"),
            "Retries are counted too. The reference page of reasons says what each means.",
            "cps",
        ),
        Panel(
            "Retries scheduled, by reason",
            _pace("outbox_retry_scheduled_total", "reason"),
            "Many of `connect`, `unavailable` or `timeout`: examine the sink first.",
            "cps",
        ),
        Panel(
            "Failed for good in an hour, by reason",
            {"{{reason}}": f"sum by (reason) (increase(outbox_terminal_failed_total{HERE}[1h])) > 0"},
            "`outboxctl failed list` groups them by cause; each group can be replayed by its fingerprint.",
        ),
        Panel(
            "Bulk requests, by how they ended",
            _pace("outbox_es_bulk_requests_total", "result"),
            "All but `ok` are requests that failed as a whole: the sink, the network or a right.",
            "reqps",
        ),
        Panel(
            "Items of bulk requests, by verdict",
            _pace("outbox_es_bulk_items_total", "result"),
            "`fail` are single documents that the sink refuses: mapping or size, `outboxctl failed list`.",
            "cps",
        ),
        Panel(
            "Circuit open",
            {"{{instance}}": f"max by (instance) (outbox_circuit_open{PROCESS})"},
            "1: the sink is unreachable and the policy is hold; it goes on by itself once the sink answers.",
            limit=0,
        ),
    ),
    "Who is working": (
        _stat(
            "Workers",
            f"count(outbox_inflight_events{PROCESS})",
            "Workers that are scraped. Fewer than you started: look at their logs and at `outboxctl status`.",
        ),
        _stat(
            "Events in flight",
            f"sum(outbox_inflight_events{PROCESS})",
            "0 while there is lag: workers wait, for the sink, for a retry's time or for the database.",
        ),
        _stat(
            "Taken back in an hour",
            f"sum(increase(outbox_reclaimed_total{PROCESS}[1h]))",
            "Events of workers that died or hung. More than a deploy explains: look for kills (OOM).",
        ),
        _stat(
            "Lease lost in an hour",
            f"sum(increase(outbox_lease_lost_total{HERE}[1h]))",
            "A worker took longer than its lease: raise OUTBOX_LEASE_SECONDS or lower OUTBOX_BULK_SIZE.",
            limit=0,
        ),
        _stat(
            "Came back, deleted again, in an hour",
            f'sum(increase(outbox_deletes_repeated_total{HERE[:-1]}, result="deleted"}}[1h]))',
            "Deleted documents that a late write had brought back: look for nodes or proxies that hang.",
            limit=0,
        ),
        _stat(
            "Unexpected errors in an hour",
            f"sum(increase(outbox_unexpected_errors_total{PROCESS}[1h]))",
            "No rule expects them: see the lines `unexpected error` of the workers' logs, with tracebacks.",
            limit=0,
        ),
        Panel(
            "Done a second, by worker",
            _pace("outbox_processed_total", "instance"),
            "One far below the others: its machine, its network or its settings.",
            "cps",
            width=6,
        ),
        Panel(
            "In flight, and the limit for the sink",
            {
                "{{instance}} in flight": f"sum by (instance) (outbox_inflight_events{PROCESS})",
                "{{instance}} limit": f"sum by (instance) (outbox_inflight_limit_events{PROCESS})",
            },
            "A limit that falls and stays low: the sink refuses load (429). Give it room, or fewer workers.",
            width=6,
        ),
        Panel(
            "Listens for new events (NOTIFY)",
            {"{{instance}}": f"min by (instance) (outbox_notify_listening{PROCESS})"},
            "0: it polls, which is normal unless you turned NOTIFY on (`outboxctl db notify status`).",
            width=6,
        ),
        Panel(
            "Since it read the database",
            {"{{instance}}": f"time() - (max by (instance) ({REFRESHED}{HERE}) > 0)"},
            "It grows: this worker is cut off from the database, see its `/readyz`.",
            "s",
            width=6,
            limit=60.0 * FRESH,
        ),
    ),
    "How far behind is the search": (
        _stat(
            "Oldest event",
            OLDEST,
            "A search may show data that is this old. Above the SLA: `outboxctl oldest`.",
            unit="s",
            limit=SLA,
        ),
        _stat(
            "Time to drain, were nothing added",
            f"{LAG} / ({OUT} > 0)",
            "Lag divided by what is done a second. No figure: nothing is done.",
            unit="s",
        ),
        _stat(
            "Documents newer than their row in an hour",
            f"sum(increase(outbox_version_ahead_total{ANY}[1h]))"
            f" + sum(increase(outbox_version_base_raised_total{ANY}[1h]))",
            "The database was restored, or another program writes the index: `outboxctl verify`.",
            limit=0,
        ),
        _stat(
            "Requests of 99 %",
            next(iter(_share("outbox_es_bulk_request_duration_seconds", 0.99).values())),
            "The slowest bulk requests. Above three quarters of the lease they are given up.",
            unit="s",
        ),
        Panel(
            "Age of the oldest event by projection",
            OLDEST_OF_EACH,
            "Rises by a second each second: one event, or all, are not delivered: `outboxctl oldest`.",
            "s",
            limit=SLA,
        ),
        Panel(
            "Seconds of a bulk request",
            _share("outbox_es_bulk_request_duration_seconds", 0.5, 0.95, 0.99),
            "Slower although nothing changed here: the cluster's merges, its heap, its disks.",
            "s",
        ),
        Panel(
            "Bytes of a bulk request",
            _share("outbox_es_bulk_request_bytes", 0.5, 0.95),
            "Near http.max_content_length: lower OUTBOX_MAX_BATCH_BYTES.",
            "bytes",
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """Grafana's JSON of it, as it is imported or provisioned."""
    return {
        "uid": "outboxctl",
        "title": "Outbox to search",
        "description": "outboxctl: is it moving, why is it failing, who is working, how far behind is search",
        "tags": ["outboxctl"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one cross-hair in all panels
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": list(_variables())},
        "panels": list(_placed()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    yield _variable("namespace", "label_values(outbox_lag_events, namespace)")
    yield _variable("projection", "label_values(outbox_lag_events, projection)")
    yield _variable("instance", f"label_values(outbox_lag_events{ANY}, instance)")


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,  # when the time range changes: workers come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _placed() -> Iterator[dict[str, Any]]:
    """Rows and panels from left to right, a new line where one is full; ids in that order."""
    number = y = 0
    for title, panels in ROWS.items():
        number, y, x, height = number + 1, y + 1, 0, 0
        yield _row(number, title, y - 1)
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            number, height = number + 1, 4 if panel.kind == "stat" else 8
            yield _panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": height})
            x += panel.width
        y += height


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": DATASOURCE, "expr": query, "legendFormat": legend}
            for n, (legend, query) in enumerate(panel.queries.items())
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
    }


def _field(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit or 1e-9})  # a step holds from its value on
    field = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        style = "line" if panel.limit else "off"
        field["custom"] = {"fillOpacity": 10, "lineWidth": 2, "thresholdsStyle": {"mode": style}}
    return field


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}} | STAT
    legend = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def text() -> str:
    """The file."""
    return by_line(dashboard())


if __name__ == "__main__":
    Path(sys.argv[1] if sys.argv[1:] else PLACE).write_text(text())
