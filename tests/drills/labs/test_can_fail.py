"""A verdict can be FAIL: by a worker that is broken on purpose, and by settings that refute a hypothesis."""

import json
import sys
from pathlib import Path

import pytest

from broken_once import PROGRAM
from processes import Cli, environment

pytestmark = [pytest.mark.no_servers, pytest.mark.slow(reason="runs a lab on servers of its own")]
RAISES = f"{sys.executable} {PROGRAM} outboxctl.worker.claiming.claimer:Claimer.claim worker"


@pytest.mark.parametrize(
    ("lab", "flags", "unmet"),
    [
        ("bad-op", ("--worker", RAISES), "no traceback in a worker's log"),
        ("attempts-exhausted", ("--set", "OUTBOX_MAX_ATTEMPTS=100"), "all events of the outage fail"),
    ],
)
def test_what_is_refuted_is_a_fail(tmp_path: Path, lab: str, flags: tuple[str, ...], unmet: str) -> None:
    cli = Cli(environment(OUTBOXCTL_STATE=str(tmp_path / "state")), tmp_path)
    done = cli("lab", "run", lab, "--search", "noida", "--json", *flags, timeout=300)
    (record,) = json.loads(done.stdout)["records"]
    assert (done.returncode, record["verdict"]) == (4, "FAIL")
    assert unmet in [check["name"] for check in record["checks"] if check["verdict"] == "FAIL"]
