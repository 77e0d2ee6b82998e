"""The systemd unit: well-formed, tight, and in step with the settings that it lives with."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from outboxctl.settings import Settings
from processes import environment

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/outboxctl-worker@.service"
EXPOSURE = "15"  # of 100, by systemd's own count; a unit without hardening has 96
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def values(name: str) -> list[str]:
    """What the unit says of a directive, an entry a line."""
    given = [line.partition("=") for line in UNIT.read_text().splitlines() if not line.startswith("#")]
    return [value for key, _, value in given if key == name]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a command that exists here, for systemd looks whether it does."""
    command = Path(sys.executable).with_name("outboxctl")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/outboxctl/bin/outboxctl", str(command)))
    return copy


def analyze(*args: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *args]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
def test_systemd_finds_nothing_to_say_about_it(unit: Path) -> None:
    done = analyze("verify", str(unit.with_name("outboxctl-worker@9108.service")))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_little_of_the_machine_is_exposed(unit: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_waits_longer_than_the_worker_takes_to_stop() -> None:
    grace = Settings.model_fields["shutdown_grace_seconds"].default
    assert float(*values("TimeoutStopSec")) > grace
    assert float(*values("WatchdogSec")) > grace, "no sign of life is given while it stops"


def test_a_bad_setting_ends_it_and_a_server_that_is_away_does_not() -> None:
    assert values("Restart") == ["on-failure"]
    assert values("RestartPreventExitStatus") == ["2"], "usage; 3 is a server that is away"
    assert values("StartLimitIntervalSec") == ["0"], "an hour without a database is no reason to give up"


def test_secrets_come_as_files() -> None:
    loaded = {value.partition(":")[0] for value in values("LoadCredential")}
    named = [value for value in values("Environment") if "_FILE=" in value]
    assert {value.partition("=%d/")[2] for value in named} == loaded
    assert not any(name in value for value in values("Environment") for name in ("URL=", "KEY=", "PASSWORD="))
