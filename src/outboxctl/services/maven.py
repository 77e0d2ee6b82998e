"""A real Elasticsearch from Maven Central: its jars, and the two classes that Maven Central lacks.

Prepared once into the cache folder; the data lives elsewhere.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from outboxctl.errors import UnreachableError
from outboxctl.services.model import Say
from outboxctl.services.record import cache_folder, locked

VERSION = "9.0.4"
OLDEST_JAVA = 21
SOURCES = Path(__file__).parent / "engine"


def java_home() -> Path | None:
    """Find a JDK that is new enough: `ENGINE_JAVA_HOME`, `JAVA_HOME`, /usr/lib/jvm, or the one on PATH."""
    return next((home for home in _java_homes() if _release(home) >= OLDEST_JAVA), None)


def engine_home(java: Path, say: Say) -> Path:
    """Return the folder to use as `path.home`, prepared if need be. UnreachableError where that fails."""
    home = cache_folder() / f"elasticsearch-{VERSION}-{_fingerprint()}"
    with locked(cache_folder(), say):
        if not home.exists():
            say(f"preparing Elasticsearch {VERSION} from Maven Central, once")
            for leftover in home.parent.glob("*.part"):
                shutil.rmtree(leftover, ignore_errors=True)
            # A name of our own: the Maven of a killed attempt may still write into its folder.
            part = home.with_name(f"{home.name}.{os.getpid()}.part")
            _build(part, java / "bin" / "javac")
            part.rename(home)
    return home


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


def _fingerprint() -> str:
    """Other sources make another home, so that an upgrade of ours never starts old classes."""
    sources = sorted(path for path in SOURCES.iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]


def _build(home: Path, javac: Path) -> None:
    """Lay the folder out as the server wants it: jars, configuration, and our transport as a module."""
    module, compiled = home / "modules" / "local-transport", home / "plugin"
    for folder in (module, home / "config", home / "plugins"):
        folder.mkdir(parents=True)
    shutil.copy(SOURCES / "plugin-descriptor.properties", module)
    shutil.copy(SOURCES / "log4j2.properties", home / "config")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={home / 'lib'}"]
    _run("mvn", "-q", "-B", "-f", str(SOURCES / "pom.xml"), *goal)
    for source, target in (("Engine", home / "classes"), ("LocalTransport", compiled)):
        _run(
            str(javac), "-nowarn", "-cp", f"{home}/lib/*", "-d", str(target), str(SOURCES / f"{source}.java")
        )
    # The server insists that a module's class comes from a jar of the module's own.
    shutil.make_archive(str(home / "transport"), "zip", compiled)
    (home / "transport.zip").rename(module / "local-transport.jar")


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"cannot prepare Elasticsearch: {error}") from error
    if done.returncode:
        output = (done.stdout + done.stderr).strip()
        raise UnreachableError(f"cannot prepare Elasticsearch: {command[0]} failed", hint=output[-2000:])
