"""The systemd unit: well-formed, tight, and in step with the settings that it lives with."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from outboxctl.core.opening import OPTIONS
from outboxctl.settings import Settings
from outboxctl.settings.sources import all_names
from processes import environment

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/outboxctl-worker@.service"
SECRETS = ("URL=", "API_KEY=", "PASSWORD=")  # that would stand in the unit itself
EXPOSURE = "15"  # of 100, by systemd's own count; a unit without hardening has 96
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def values(name: str, text: str = UNIT.read_text()) -> list[str]:
    """What the unit says of a directive, an entry a line."""
    given = [line.partition("=") for line in text.splitlines() if not line.startswith("#")]
    return [value for key, _, value in given if key == name]


def uncommented() -> str:
    """The unit with each line that is there to be switched on."""
    return re.sub(r"^# (LoadCredential|Environment)=", r"\1=", UNIT.read_text(), flags=re.M)


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
def test_systemd_accepts_what_may_be_switched_on(unit: Path) -> None:
    command = unit.read_text().split("ExecStart=")[1].splitlines()[0]
    unit.write_text(uncommented().replace("/opt/outboxctl/bin/outboxctl worker", command))
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


@pytest.mark.parametrize("text", [UNIT.read_text(), uncommented()], ids=["as it is", "all switched on"])
def test_secrets_and_certificates_come_as_files_that_the_workers_user_can_read(text: str) -> None:
    loaded = {value.partition(":")[0] for value in values("LoadCredential", text)}
    given = dict(value.partition("=%d/")[::2] for value in values("Environment", text) if "=%d/" in value)
    assert {*given.values()} == loaded
    known = {*all_names(), *OPTIONS.values()}
    assert {*given} <= known, "a name that nothing reads"
    assert not any(name in value for value in values("Environment", text) for name in SECRETS)
