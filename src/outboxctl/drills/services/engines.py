"""The engines of Maven Central: a release of each, the files that a node needs, and the JDK that runs it."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from outboxctl.drills.services import place
from outboxctl.drills.services.model import Kind

SOURCES = Path(__file__).parent / "engine"


@dataclass(frozen=True)
class Release:
    """One release. `product` names the folder of its sources here, and the property of its modules.

    `transport` is the class of the module that speaks HTTP, `megabytes` those of its jars, `java` the oldest
    one it runs on.
    """

    product: str
    version: str
    transport: str
    megabytes: int
    java: int = 21

    @property
    def title(self) -> str:
        """For people."""
        return f"{'OpenSearch' if self.product == 'opensearch' else 'Elasticsearch'} {self.version}"

    @property
    def sources(self) -> Path:
        """What Maven Central lacks of it."""
        return SOURCES / self.product

    @property
    def descriptor(self) -> str:
        """Of its transport: both products load a module only with such a file beside it."""
        return "\n".join(
            (
                "name=transport",
                "description=HTTP",
                f"version={self.version}",
                f"{self.product}.version={self.version}",
                f"java.version={self.java}",
                f"classname={self.transport}",
                "has.native.controller=false\n",
            )
        )


# Of each line, the newest release whose HTTP transport is on Maven Central too. The recorded answers in the
# tests are from 9.0.4.
RELEASES: dict[Kind, Release] = {
    "elasticsearch": Release("elasticsearch", "9.0.4", "LocalTransport", 40),
    "elasticsearch8": Release("elasticsearch", "8.19.21", "LocalTransport", 43, java=17),
    "opensearch": Release("opensearch", "2.19.6", "org.opensearch.transport.Netty4Plugin", 46, java=17),
    "opensearch3": Release("opensearch", "3.9.0", "org.opensearch.transport.Netty4ModulePlugin", 64),
}


def java_home(oldest: int) -> Path | None:
    """Find a JDK that is new enough: `ENGINE_JAVA_HOME`, `JAVA_HOME`, /usr/lib/jvm, or the one on PATH.

    For root only one that `nobody`, who runs the engine, can reach.
    """
    homes = (home for home in _java_homes() if _java_release(home) >= oldest)
    return next((home for home in homes if place.reaches(home / "bin" / "java")), None)


def _java_homes() -> Iterator[Path]:
    yield from (Path(os.environ[name]) for name in ("ENGINE_JAVA_HOME", "JAVA_HOME") if os.environ.get(name))
    yield from sorted(Path("/usr/lib/jvm").glob("*"))
    java = shutil.which("java")
    if java:
        yield Path(java).resolve().parents[1]


def _java_release(home: Path) -> int:
    """Read the feature release of a JDK; 0 for a folder that is none."""
    release = home / "release"
    if not release.is_file() or not (home / "bin" / "javac").exists():
        return 0
    match = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE)
    return int(match[1]) if match else 0
