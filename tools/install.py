"""Install what the lock file names into a local environment: `make develop`; its first part: `make install`.

It says beforehand what will be downloaded, and shows how far it is. It runs before anything is installed, so
the standard library is all that it uses, on every Python from 3.11 on.
"""

import argparse
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

LOCK = Path("requirements.lock")
PROGRAM = "# What the program and its own servers need; behind each the bytes of its download:"
DEVELOPMENT = "# What its developers need beside that:"
ENTRY = re.compile(r"^(?P<name>[\w.-]+)==(?:.* # (?P<size>\d+)$)?", re.M)
BEGINS = re.compile(r"^(?:Collecting|Requirement already satisfied:) ([\w.-]+)")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps", "--no-compile")
LARGE, MEGA = 2_000_000, 1_000_000  # bytes
WIDTH = 24  # characters of the bar
LAST_LINES = 15  # of what pip said, where it fails


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


class Bar:
    """How far it is, drawn over itself on a terminal, else nothing."""

    def __init__(self, total: int) -> None:
        self._total = max(total, 1)
        self._drawn = sys.stderr.isatty()

    def show(self, done: int, what: str) -> None:
        """Draw `done` bytes, and what comes now."""
        if self._drawn:
            filled = "#" * (WIDTH * done // self._total)
            text = f"[{filled:<{WIDTH}}] {_mega(done)} of {_mega(self._total)}  {what}"
            sys.stderr.write(f"\r{text[:79]:<79}")
            sys.stderr.flush()

    def close(self) -> None:
        """Leave an empty line behind."""
        if self._drawn:
            sys.stderr.write(f"\r{'':<79}\r")


def follow(lines: Iterable[str], wanted: list[Package], bar: Bar) -> Iterator[str]:
    """Show how far pip is by the lines that it prints; yields them."""
    sizes, done, now = {each.name: each.size for each in wanted}, 0, 0
    for line in lines:
        if found := BEGINS.match(line):
            done, now = done + now, sizes.get(found[1].lower().replace("_", "-"), 0)
            bar.show(done, found[1])
        elif line.startswith("Installing"):
            bar.show(sum(sizes.values()), "unpacking")
        yield line


def make(environment: Path) -> None:
    """Make the environment. SystemExit where that fails, on Debian without python3-venv; venv says so."""
    if code := subprocess.run([sys.executable, "-m", "venv", str(environment)], check=False).returncode:
        raise SystemExit(code)


def install(environment: Path, lock: str) -> None:
    """Have pip install a part of the lock file. SystemExit with what pip said last where that fails."""
    wanted = packages(lock)
    part = environment / "installing.lock"
    part.write_text(lock)
    command = [str(environment / "bin" / "python"), *PIP, "--require-hashes", "--requirement", str(part)]
    bar = Bar(sum(each.size for each in wanted))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        last = deque(follow(pip.stdout or (), wanted, bar), maxlen=LAST_LINES)
        bar.close()
    if pip.returncode:
        raise SystemExit("".join([*last, "install: pip failed; its last lines are above\n"]))


def main() -> None:
    """Make the environment, install the packages, then this checkout."""
    parser = argparse.ArgumentParser(prog="python -m tools.install", description=__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("--program", action="store_true", help="without what developers need")
    given = parser.parse_args()
    began, lock = monotonic(), LOCK.read_text()
    lock = lock.partition(DEVELOPMENT)[0] if given.program else lock
    sys.stderr.write(f"{plan(packages(lock))}\n")
    make(given.environment)
    install(given.environment, lock)
    checkout = [str(given.environment / "bin" / "python"), *PIP, "--quiet", "--no-build-isolation"]
    subprocess.run([*checkout, "--editable", "."], check=True)
    sys.stderr.write(f"Installed into {given.environment} in {monotonic() - began:.0f} s.\n")


def _mega(size: int) -> str:
    return f"{size / MEGA:.0f} MB"


if __name__ == "__main__":
    main()
