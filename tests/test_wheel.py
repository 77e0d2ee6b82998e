"""What a release holds: each of its two files alone, away from the checkout, does the main job."""

import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from outboxctl.drills import services
from processes import environment
from tree import ROOT, tracked


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is all built: the source distribution, and in `wheel/` the wheel that it makes."""
    folder = tmp_path_factory.mktemp("release")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (source,) = folder.glob("*.tar.gz")
    build_wheel(source, folder / "wheel")
    return folder


@pytest.fixture(scope="module")
def outboxctl(folder: Path) -> Path:
    """The command of a fresh environment with nothing but the wheel of the source distribution."""
    (wheel,) = folder.glob("wheel/*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"), cwd=folder)
    pip = ["-m", "pip", "--python", str(folder / "venv"), "--quiet", "--disable-pip-version-check"]
    run(sys.executable, *pip, "install", "--no-compile", f"{wheel}[embedded]", cwd=folder)
    return folder / "venv/bin/outboxctl"


def build_wheel(source: Path, target: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target)]
    run(sys.executable, "-m", "pip", "wheel", *options, str(source), cwd=target.parent)


def contents(wheel: Path) -> dict[str, int]:
    """The checksum of each file in it, by name."""
    with ZipFile(wheel) as opened:
        return {file.filename: file.CRC for file in opened.infolist()}


def run(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow(reason="builds the wheel twice and the source distribution")
def test_the_checkout_and_the_source_distribution_make_the_same_wheel(folder: Path) -> None:
    (wheel,) = folder.glob("wheel/*.whl")
    build_wheel(ROOT, folder / "checkout")
    assert contents(wheel) == contents(folder / "checkout" / wheel.name)


@pytest.mark.slow(reason="builds the wheel twice and the source distribution")
def test_the_wheel_holds_every_file_that_the_program_reads(folder: Path) -> None:
    (wheel,) = folder.glob("wheel/*.whl")
    shipped = {f"outboxctl/{name}" for name in tracked("alembic", "alembic.ini", "docker-compose.yml")}
    shipped |= {name.removeprefix("src/") for name in tracked("src")}
    shipped.add("outboxctl/runbook.md")
    assert shipped <= contents(wheel).keys()


@pytest.mark.slow(reason="builds the wheel twice and the source distribution")
def test_the_source_distribution_holds_the_whole_project(folder: Path) -> None:
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert tracked() - {".git_archival.txt", ".gitattributes"} <= names | {".gitattributes"}


@pytest.mark.slow(reason="builds the wheel and installs it into a fresh environment")
def test_says_its_version(outboxctl: Path, folder: Path) -> None:
    (wheel,) = folder.glob("wheel/*.whl")
    version = run(str(outboxctl), "--version", cwd=folder).split()[1]
    assert wheel.name.startswith(f"outboxctl-{version}-")
    assert "pg_terminate_backend(PID)" in run(str(outboxctl), "explain", "OutboxStuck", cwd=folder)


@pytest.mark.slow(reason="builds the wheel and installs it into a fresh environment")
def test_migrates_and_drains(outboxctl: Path, tmp_path: Path, empty_url: str, env: dict[str, str]) -> None:
    given = env | {"DATABASE_URL": empty_url}
    assert "table search_outbox_events" in run(str(outboxctl), "db", "upgrade", cwd=tmp_path, **given)
    run(str(outboxctl), "inject", "load", "--total", "50", "--rate", "0", cwd=tmp_path, **given)
    port = str(services.fresh_port())
    run(str(outboxctl), "worker", "--drain", "--metrics-port", port, cwd=tmp_path, **given)
    assert '"done": 50' in run(str(outboxctl), "status", "--json", cwd=tmp_path, **given)


@pytest.mark.slow(reason="runs the demo from an installed wheel, on servers of its own")
def test_tells_the_whole_story(outboxctl: Path, tmp_path: Path) -> None:
    run(str(outboxctl), "demo", cwd=tmp_path, HOME=str(tmp_path))
