"""Prometheus' own programs: those on PATH, else Debian's, unpacked without root beside the other caches."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services.model import locked
from outboxctl.settings.folders import cache_folder

PACKAGES = ("prometheus", "prometheus-alertmanager")
HINT = "install the packages prometheus and prometheus-alertmanager, or put their programs on PATH"


def program(name: str) -> str:
    """The path of `promtool` or `amtool`. UsageError if there is none."""
    if there := shutil.which(name):
        return there
    path = _unpacked() / "usr" / "bin" / name
    if not path.exists():  # newer Debians have promtool elsewhere
        raise UsageError(f"{' and '.join(PACKAGES)} of this system have no {name}", hint=HINT)
    return str(path)


def needed(name: str) -> str:
    """As `program`; a test that needs one that is not to be had is skipped."""
    try:
        return program(name)
    except UsageError as error:
        pytest.skip(f"{error}; {error.hint}")


def _unpacked() -> Path:
    cache = cache_folder()
    target = cache / "debian-prometheus"
    with locked(cache, say=lambda _: None):
        if not target.exists():
            _unpack_into(target)
    return target


def _unpack_into(target: Path) -> None:
    """All or nothing: a reader never sees half of it."""
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            _download(folder)
            for package in Path(folder).glob("*.deb"):
                _run("dpkg-deb", "-x", package.name, "unpacked", cwd=folder)
            Path(folder, "unpacked").rename(target)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"Prometheus' programs are not here, nor to be had: {error}", hint=HINT) from None


def _download(folder: str) -> None:
    """By the lists of packages that are here; where there are none, or old ones, by new ones of our own."""
    try:
        _apt("download", *PACKAGES, cwd=folder)
    except subprocess.CalledProcessError:
        Path(folder, "lists", "partial").mkdir(parents=True)
        own = ("--option", f"Dir::State::Lists={folder}/lists", "--option", f"Dir::Cache={folder}")
        _apt(*own, "update", cwd=folder)
        _apt(*own, "download", *PACKAGES, cwd=folder)


def _apt(*given: str, cwd: str) -> None:
    _run("apt-get", "--option", "APT::Sandbox::User=root", *given, cwd=cwd)


def _run(*command: str, cwd: str) -> None:
    subprocess.run(command, cwd=cwd, check=True, timeout=300, stdout=subprocess.DEVNULL)
