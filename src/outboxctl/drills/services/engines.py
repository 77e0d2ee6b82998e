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

    `transport` is the class of the module that speaks HTTP, `sha256` the digest of all jars (see
    `maven.digest_of`), `java` the oldest release that it runs on.
    """

    product: str
    version: str
    transport: str
    jars: int
    megabytes: int
    sha256: str
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
    "elasticsearch": Release(
        product="elasticsearch",
        version="9.0.4",
        transport="LocalTransport",
        jars=48,
        megabytes=40,
        sha256="48caf6e7698133118a533a935045940b9c7264dcba346c3421edb36656537398",
    ),
    "elasticsearch8": Release(
        product="elasticsearch",
        version="8.19.21",
        transport="LocalTransport",
        jars=47,
        megabytes=43,
        sha256="6992f0dcc2860a2a6782372a26e28ea446269f3f52d11392a2fe36f1adcd59f3",
        java=17,
    ),
    "opensearch": Release(
        product="opensearch",
        version="2.19.6",
        transport="org.opensearch.transport.Netty4Plugin",
        jars=56,
        megabytes=46,
        sha256="f86a531e0773cc48dd5a4d95a043abb2d11760f79d416df0267c6b31b3c8a242",
        java=17,
    ),
    "opensearch3": Release(
        product="opensearch",
        version="3.9.0",
        transport="org.opensearch.transport.Netty4ModulePlugin",
        jars=71,
        megabytes=64,
        sha256="3db87bf84f0a61089e85b8d34274ccbbd4ee4540a75c8186b31317d3000debb7",
    ),
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
