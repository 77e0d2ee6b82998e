"""Write `requirements.lock` from what uv resolves, which is read from stdin: `make lock`.

A package a line, with its hashes and, behind a `#`, the bytes that are downloaded of it on this platform.
First come those that the program needs, which `make demo` installs. The standard library is enough for this.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.install import DEVELOPMENT, LOCK, PROGRAM

ENTRY = re.compile(r"^(?P<pinned>(?P<name>[\w.-]+)==[^\\\n]*?) \\\n(?P<rest>(?: {4}.*\n?)+)", re.M)
HASH, VIA = re.compile(r"--hash=\S+"), re.compile(r"^ +#(?: via)? +([\w.-]+)", re.M)
NAME = re.compile(r"[\w.-]+")
BUILD = ("editables", "hatchling", "hatch-vcs")  # what installs a checkout


@dataclass(frozen=True)
class Locked:
    """One entry: name, name with version and marker, hashes, and the names of what asked for it."""

    name: str
    pinned: str
    hashes: tuple[str, ...]
    via: frozenset[str]

    def line(self, sizes: Mapping[str, int]) -> str:
        """The line of the lock file; without a size where nothing of it is installed on this platform."""
        size = sizes.get(self.pinned.partition(" ")[0])
        return " ".join([self.pinned, *self.hashes, *([f"# {size}"] if size else [])])


def entries(resolved: str) -> list[Locked]:
    """The entries of what `uv pip compile --generate-hashes` writes, its annotations included."""
    return [
        Locked(
            found["name"],
            found["pinned"],
            tuple(HASH.findall(found["rest"])),
            frozenset(VIA.findall(found["rest"])),
        )
        for found in ENTRY.finditer(resolved)
    ]


def needed(locked: Iterable[Locked], project: Mapping[str, Any]) -> set[str]:
    """Names of all that the program and its own servers need, and what installs a checkout of it."""
    asked = [*project["dependencies"], *project["optional-dependencies"]["embedded"], *BUILD]
    found = {match.group() for text in asked if (match := NAME.match(text))}
    while more := {each.name for each in locked if each.via & found} - found:
        found |= more
    return found


def written(locked: list[Locked], program: set[str], sizes: Mapping[str, int]) -> str:
    """The text of the lock file."""
    lines = [PROGRAM, *(each.line(sizes) for each in locked if each.name in program)]
    lines += [DEVELOPMENT, *(each.line(sizes) for each in locked if each.name not in program)]
    return "\n".join(lines) + "\n"


def downloaded(text: str) -> dict[str, int]:
    """The bytes of each `name==version` that pip downloads here. CalledProcessError where it fails."""
    with TemporaryDirectory() as folder:
        lock = Path(folder, "all.lock")
        lock.write_text(text)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--requirement", str(lock), "--dest", folder], check=True)
        files = [file for file in Path(folder).iterdir() if file != lock]
        return {_pin(file.name): file.stat().st_size for file in files}


def _pin(file: str) -> str:
    """`name==version` of a wheel or of a source distribution, the name as an index writes it."""
    stem = file.removesuffix(".tar.gz")
    name, version = stem.split("-")[:2] if file.endswith(".whl") else stem.rsplit("-", 1)
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def main() -> None:
    """Read stdin, write the file."""
    locked = entries(sys.stdin.read())
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    program = needed(locked, project)
    LOCK.write_text(written(locked, program, downloaded(written(locked, program, {}))))


if __name__ == "__main__":
    main()
