"""The engines of Maven Central: a release of each, the files that a node needs, and the JDK that runs it."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from outboxctl.drills.services import place
from outboxctl.drills.services.model import Kind

SOURCES = Path(__file__).parent / "engine"


@dataclass(frozen=True)
class Release:
    """One release. `product` names the folder of its sources here, and the property of its modules.

    `modules` are the classes of its modules by their names, `transport` speaks HTTP; `sha256` is the digest
    of all jars (see `maven.digest_of`), `java` the oldest release that it runs on.
    """

    product: str
    version: str
    modules: Mapping[str, str]
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

    def descriptor(self, module: str) -> str:
        """Of a module: both products load one only with such a file beside it."""
        return "\n".join(
            (
                f"name={module}",
                f"description={module}",
                f"version={self.version}",
                f"{self.product}.version={self.version}",
                f"java.version={self.java}",
                f"classname={self.modules[module]}",
                "has.native.controller=false\n",
            )
        )


# Of each line, the newest release whose HTTP transport is on Maven Central too. The recorded answers in the
# tests are from 9.0.4. Elasticsearch's module parent-join (fields of type `join`) is not there since 8.
RELEASES: dict[Kind, Release] = {
    "elasticsearch": Release(
        product="elasticsearch",
        version="9.0.4",
        modules={"transport": "LocalTransport"},
        jars=48,
        megabytes=40,
        sha256="48caf6e7698133118a533a935045940b9c7264dcba346c3421edb36656537398",
    ),
    "elasticsearch8": Release(
        product="elasticsearch",
        version="8.19.21",
        modules={"transport": "LocalTransport"},
        jars=47,
        megabytes=43,
        sha256="6992f0dcc2860a2a6782372a26e28ea446269f3f52d11392a2fe36f1adcd59f3",
        java=17,
    ),
    "opensearch": Release(
        product="opensearch",
        version="2.19.6",
        modules={
            "transport": "org.opensearch.transport.Netty4Plugin",
            "parent-join": "org.opensearch.join.ParentJoinPlugin",
        },
        jars=57,
        megabytes=46,
        sha256="da658a638f15d93e1db3e410cff5b00291d20479079d65a1b776983d9ee6d242",
        java=17,
    ),
    "opensearch3": Release(
        product="opensearch",
        version="3.9.0",
        modules={
            "transport": "org.opensearch.transport.Netty4ModulePlugin",
            "parent-join": "org.opensearch.join.ParentJoinModulePlugin",
        },
        jars=72,
        megabytes=64,
        sha256="7f7ebcd253b719ea0742b23340e8f7a7ed50686ff877f6d80f07f08b5c0e3c08",
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
