"""The JDK that an engine of Maven's is compiled and started by."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from outboxctl.drills.services import place


def java_home(oldest: int) -> Path | None:
    """Find a JDK that is new enough: `ENGINE_JAVA_HOME`, `JAVA_HOME`, /usr/lib/jvm, or the one on PATH.

    For root only one that `nobody`, who runs the engine, can reach.
    """
    fits = (home for home in _java_homes() if _release(home) >= oldest)
    return next((home for home in fits if place.reaches(home / "bin" / "java")), None)


def _java_homes() -> Iterator[Path]:
    yield from (Path(os.environ[name]) for name in ("ENGINE_JAVA_HOME", "JAVA_HOME") if os.environ.get(name))
    yield from sorted(Path("/usr/lib/jvm").glob("*"))
    java = shutil.which("java")
    if java:
        yield Path(java).resolve().parents[1]


def _release(home: Path) -> int:
    """Read the feature release of a JDK; 0 for what is none."""
    release = home / "release"
    if not release.is_file() or not (home / "bin" / "javac").exists():
        return 0
    found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
