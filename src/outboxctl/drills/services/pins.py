"""Which jars an engine is made of: the SHA-256 of each, kept beside its sources, one file a release.

Maven compares a download with a checksum that the same repository serves, and a jar that is in the local
repository already with nothing. So what is put on a class path is compared with a list of our own.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services.engines import SOURCES, Release

HINT = (
    "delete {} and what Maven keeps of that jar (~/.m2/repository), and try again; if it comes again, the"
    " repository that Maven asks (settings.xml) serves another file than Maven Central did"
)


def pin_file(engine: Release) -> Path:
    """The list of one release, in the format of `sha256sum`."""
    return SOURCES / f"{engine.product}-{engine.version}.sha256"


def check(engine: Release, home: Path, jars: Iterable[Path]) -> None:
    """UsageError unless the jars in `home` are those of the list, each once and unchanged.

    About 0.1 s for the 40 to 65 MB of an engine: the digests of several jars are made at a time.
    """
    hint = HINT.format(home)
    wanted, found = _pinned(engine), sorted(jars)
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_digest, found))
    for jar, digest in zip(found, digests, strict=True):
        expected = wanted.pop(jar.name, "none, it is not a jar of this release")
        if digest != expected:
            raise UsageError(f"{jar} was changed: SHA-256 expected {expected}, found {digest}", hint=hint)
    for name in wanted:
        raise UsageError(f"{engine.title} lacks {name}: SHA-256 expected {wanted[name]}", hint=hint)


def lines(jars: Iterable[Path]) -> Iterator[str]:
    """The list of these jars, by name."""
    for jar in sorted(jars, key=lambda path: path.name):
        yield f"{_digest(jar)}  {jar.name}\n"


def _pinned(engine: Release) -> dict[str, str]:
    pairs = (line.split() for line in pin_file(engine).read_text().splitlines())
    return {name: digest for digest, name in pairs}


def _digest(jar: Path) -> str:
    with jar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
