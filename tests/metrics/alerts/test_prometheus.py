"""A real Prometheus on real workers: each fault sets off its alerts and no others, and they end with it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from metrics.alerts.faults import CASES, Case
from metrics.alerts.monitoring import LIMITS, monitoring
from metrics.alerts.programs import needed
from metrics.alerts.stage import Stage, stage
from outboxctl.metrics.alerts.table import alerts
from servers import Servers

NAMES = {alert.name for alert in alerts(LIMITS)}


@pytest.fixture
def _programs() -> None:
    needed("prometheus")


def run(case: Case, stage: Stage) -> None:
    """One fault from its beginning to silence, and what Prometheus remembers of it."""
    stage.until_watched()
    case.befall(stage)
    stage.until_silent()
    assert stage.watch
    seen = {name: at for name, at in stage.watch.history(stage.namespace).items() if at["firing"]}
    assert set(case.alerts) <= set(seen) <= {*case.alerts, *case.explained}, stage.namespace
    for name, at in seen.items():
        assert at["pending"], f"{stage.namespace}: {name} fired without warning"
        assert at["pending"][0] < at["firing"][0]


@pytest.mark.slow(reason="waits for a real Prometheus to raise and resolve alerts")
@pytest.mark.usefixtures("_programs")
@pytest.mark.timeout(200)
def test_each_fault_sets_off_its_alerts_and_no_others(
    servers: Servers, template: str, engine: Elasticsearch, tmp_path: Path
) -> None:
    """All faults at the same time, each on a stage of its own: an hour of the rules is a minute here."""
    assert {name for case in CASES.values() for name in case.alerts} == NAMES
    with ExitStack() as stack, ThreadPoolExecutor(len(CASES)) as pool:
        stages = {
            name: stack.enter_context(
                stage(name, servers, template, engine, tmp_path, workers=case.workers, settings=case.settings)
            )
            for name, case in CASES.items()
        }
        for each in stages.values():
            each.until_ready()
        targets = [target for each in stages.values() for target in each.targets]
        watch = stack.enter_context(monitoring(targets, tmp_path))
        for each in stages.values():
            each.watch = watch
        running = {name: pool.submit(run, case, stages[name]) for name, case in CASES.items()}
        failed = {name: error for name, future in running.items() if (error := future.exception())}
    assert not failed, "\n\n".join(f"{name}: {error}" for name, error in failed.items())
