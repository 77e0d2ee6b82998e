"""The wheel alone, in an environment of its own outside the checkout, does the main job."""

import subprocess
import sys
from pathlib import Path

import pytest

from outboxctl import services
from processes import environment

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def outboxctl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment into which only the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    run(sys.executable, *build, str(ROOT), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"), cwd=folder)
    pip = ["-m", "pip", "--python", str(folder / "venv"), "--quiet", "--disable-pip-version-check"]
    run(sys.executable, *pip, "install", "--no-compile", f"{wheel}[embedded]", cwd=folder)
    return folder / "venv/bin/outboxctl"


def run(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_migrates_and_drains(outboxctl: Path, tmp_path: Path, empty_url: str, env: dict[str, str]) -> None:
    given = env | {"DATABASE_URL": empty_url}
    assert "table search_outbox_events" in run(str(outboxctl), "db", "upgrade", cwd=tmp_path, **given)
    run(str(outboxctl), "inject", "load", "--total", "50", "--rate", "0", cwd=tmp_path, **given)
    port = str(services.fresh_port())
    run(str(outboxctl), "worker", "--drain", "--metrics-port", port, cwd=tmp_path, **given)
    assert '"done": 50' in run(str(outboxctl), "status", "--json", cwd=tmp_path, **given)


def test_tells_the_whole_story(outboxctl: Path, tmp_path: Path) -> None:
    run(str(outboxctl), "demo", cwd=tmp_path, HOME=str(tmp_path))
