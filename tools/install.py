"""Install what the lock file names into a local environment: `make develop`; its first part: `make install`.

It says beforehand what will be downloaded. It runs before anything is installed, so the standard library is
all that it uses, on every Python from 3.11 on.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

LOCK = Path("requirements.lock")
PROGRAM = "# What the program and its own servers need; behind each the bytes of its download:"
DEVELOPMENT = "# What its developers need beside that:"
ENTRY = re.compile(r"^(?P<name>[\w.-]+)==(?:.* # (?P<size>\d+)$)?", re.M)
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps")
LARGE, MEGA = 2_000_000, 1_000_000  # bytes


@dataclass(frozen=True)
class Package:
    """A package, and the bytes of its download; 0 where it is not for this platform."""

    name: str
    size: int


def packages(lock: str) -> list[Package]:
    """Those that a lock file names."""
    return [Package(found["name"], int(found["size"] or 0)) for found in ENTRY.finditer(lock)]


def plan(wanted: list[Package]) -> str:
    """What will be downloaded: names and sizes of the large ones, and the sum."""
    by_size = sorted(wanted, key=lambda each: -each.size)
    large = [f"{each.name} {_mega(each.size)}" for each in by_size if each.size >= LARGE]
    total = _mega(sum(each.size for each in wanted))
    small = len(wanted) - len(large)
    return (
        f"{len(wanted)} Python packages, {total}, from the package index or pip's cache:"
        f" {', '.join(large)}, and {small} smaller ones."
    )


def run(*command: str) -> None:
    """Run a step, which says itself what is wrong. SystemExit where it fails."""
    if code := subprocess.run(command, check=False).returncode:
        raise SystemExit(code)


def main() -> None:
    """Make the environment, install the packages, then this checkout."""
    parser = argparse.ArgumentParser(prog="python -m tools.install", description=__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("--program", action="store_true", help="without what developers need")
    given = parser.parse_args()
    began, lock = monotonic(), LOCK.read_text()
    lock = lock.partition(DEVELOPMENT)[0] if given.program else lock
    sys.stderr.write(f"{plan(packages(lock))}\n")
    run(sys.executable, "-m", "venv", str(given.environment))  # on Debian it may ask for python3-venv
    part, pip = given.environment / "installing.lock", (str(given.environment / "bin" / "python"), *PIP)
    part.write_text(lock)
    run(*pip, "--require-hashes", "--requirement", str(part))
    run(*pip, "--quiet", "--no-build-isolation", "--editable", ".")
    # Else a checkout that may not write bytecode compiles every module at every start.
    run(pip[0], "-m", "compileall", "-q", "src")
    sys.stderr.write(f"Installed into {given.environment} in {monotonic() - began:.0f} s.\n")


def _mega(size: int) -> str:
    return f"{size / MEGA:.0f} MB"


if __name__ == "__main__":
    main()
