"""How the demo is shown; what it shows is a short list of our own."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from outboxctl.cli.app import app
from outboxctl.drills.demo import run as demo_run
from outboxctl.drills.demo.report import DemoCheck, DemoProjection, DemoReport, Screen
from outboxctl.sink.index.index_setup import Hit

pytestmark = pytest.mark.no_servers
HIT = Hit("docstring:1", 1.5, "io.open: Open a \x1b[31mfile.")
PROJECTION = DemoProjection("definition", "an-index-definitions", "os", "os_renamed", 1, 199, 0.3)


def report(*checks: DemoCheck) -> DemoReport:
    ok = all(check.ok for check in checks)
    log = None if ok else "/srv/worker.log"
    servers = ("3.11.0", "embedded 18", "noida 8", "")
    return DemoReport(ok, 1.5, *servers, 2, "q", (HIT,), ("id",), PROJECTION, checks, log)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command, which ends in the given report."""

    def run(ending: DemoReport, *args: str) -> Result:
        def tell(_: str, screen: Screen) -> DemoReport:
            screen.step("Search", "searching")
            screen.detail("48 [jars], 40 MB")
            screen.progress(1, 2)
            screen.ended("in 2 documents:", hits=(HIT,))
            return ending

        monkeypatch.setattr(demo_run, "run_demo", tell)
        return CliRunner().invoke(app, ["demo", *args])

    return run


def test_in_a_pipe_a_step_is_a_line(demo: Callable[..., Result]) -> None:
    result = demo(report(DemoCheck("rows", 2, 2)))
    said, first, second, *_ = result.stdout.splitlines()
    assert said == "48 [jars], 40 MB", "what is downloaded is in a log of CI, too"
    assert first.startswith("Search:          in 2 documents: (")
    assert second == "  io.open: Open a \\x1b[31mfile."
    assert "1 of 1 checks agree" in result.stdout
    assert result.exit_code == 0


def test_a_count_that_does_not_agree_is_a_finding(demo: Callable[..., Result]) -> None:
    result = demo(
        report(DemoCheck("rows", 2, 2), DemoCheck("documents", 1, 2), DemoCheck("hits", 1, 2, at_least=True))
    )
    assert result.exit_code == 4
    assert "1 of 3 checks agree" in result.stdout
    assert result.stdout.count("NO") == 2
    assert "/srv/worker.log" in result.stdout
