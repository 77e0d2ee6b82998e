"""How the demo is shown; what it shows is a short list of our own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from outboxctl.cli.app import app
from outboxctl.drills.demo import story as demo_run
from outboxctl.drills.demo.story import DemoReport, Screen
from outboxctl.drills.labs.model import LabCheck, LabPhase, LabVerdict

pytestmark = pytest.mark.no_servers
HIT = "io.open: Open a \x1b[31mfile."


def check(verdict: LabVerdict = LabVerdict.OK) -> LabCheck:
    return LabCheck(LabPhase.CHECK, "rows", "2", "2", verdict)


def report(*checks: LabCheck) -> DemoReport:
    ok = all(check.verdict is LabVerdict.OK for check in checks)
    return DemoReport(list(checks), 1.5, None if ok else Path("/srv/worker.log"))


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command, which ends in the given report."""

    def run(ending: DemoReport, *args: str) -> Result:
        def tell(_: str, screen: Screen) -> DemoReport:
            screen.step("Search", "searching")
            screen.detail("48 [jars], 40 MB")
            screen.say("1 of 2")
            screen.ended(f"in 2 documents:\n{HIT}")
            return ending

        monkeypatch.setattr(demo_run, "run_demo", tell)
        return CliRunner().invoke(app, ["demo", *args])

    return run


def test_in_a_pipe_a_step_is_a_line(demo: Callable[..., Result]) -> None:
    result = demo(report(check()))
    said, first, second, *_ = result.stdout.splitlines()
    assert said == "48 [jars], 40 MB", "what is downloaded is in a log of CI, too"
    assert first.startswith("Search:          in 2 documents: (")
    assert second == "  io.open: Open a \\x1b[31mfile."
    assert "1 of 1 checks agree" in result.stdout
    assert result.exit_code == 0


def test_a_count_that_does_not_agree_is_a_finding(demo: Callable[..., Result]) -> None:
    result = demo(report(check(), check(LabVerdict.FAIL), check(LabVerdict.FAIL)))
    assert result.exit_code == 4
    assert "1 of 3 checks agree" in result.stdout
    assert result.stdout.count("NO") == 2
    assert "/srv/worker.log" in result.stdout
