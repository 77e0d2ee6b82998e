"""A real search engine from Maven Central: its jars, and the few classes that Maven Central lacks.

Prepared once into the cache folder; the data lives elsewhere. The jars are those of `pins.py`, or nothing
is started.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import pins, place
from outboxctl.drills.services.engines import SOURCES, Release
from outboxctl.drills.services.model import Say
from outboxctl.drills.services.record import locked
from outboxctl.settings.folders import cache_folder

MODULE = "transport"
# In Maven's words: Could not transfer artifact G:A:jar:V from/to … (…): Checksum validation failed, …
FORGED = re.compile(r"artifact (\S+) from/to [^\n]*?(Checksum validation failed[^\n]*?)(?: ->|\n|$)")
FORGED_HINT = (
    "try again; if it comes again, the repository that Maven asks (settings.xml) is damaged or forged"
)


def engine_home(engine: Release, java: Path, say: Say) -> Path:
    """Return the folder to use as `path.home`, prepared if need be.

    UnreachableError where that fails, UsageError where a jar is not the one of its list.
    """
    home = cache_folder() / f"{engine.product}-{engine.version}-{_fingerprint(engine)}"
    with locked(cache_folder(), say):
        if not home.exists():
            say(f"preparing {engine.title} from Maven Central, once")
            for leftover in home.parent.glob("*.part"):
                shutil.rmtree(leftover, ignore_errors=True)
            # A name of our own: the Maven of a killed attempt may still write into its folder.
            part = home.with_name(f"{home.name}.{os.getpid()}.part")
            _build(engine, part, java / "bin" / "javac")
            part.rename(home)
    used = place.within_reach(home, home.name)
    pins.check(engine, used, _jars(engine, used))
    return used


def fetch(engine: Release, folder: Path, *more: str) -> None:
    """Download the jars of an engine into a folder; what differs from its checksum there is refused (-C)."""
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    pom = str(engine.sources / "pom.xml")
    _run("mvn", "-q", "-B", "-C", "-f", pom, f"-Drelease={engine.version}", *goal, *more)


def _jars(engine: Release, home: Path) -> list[Path]:
    """Every jar in a prepared folder but the one that is made of our own transport."""
    own = home / "modules" / MODULE / f"{MODULE}.jar"
    return [jar for jar in home.rglob("*.jar") if jar != own or not _own_transport(engine).exists()]


def _own_transport(engine: Release) -> Path:
    return engine.sources / f"{engine.transport}.java"


def _fingerprint(engine: Release) -> str:
    """Other sources make another home, so that an upgrade of ours never starts old classes."""
    sources = [*sorted(engine.sources.iterdir()), pins.pin_file(engine)]
    said = [engine.descriptor.encode(), *(path.read_bytes() for path in sources)]
    return hashlib.sha256(b"".join(said)).hexdigest()[:8]


def _build(engine: Release, home: Path, javac: Path) -> None:
    """Lay the folder out as the server wants it: jars, configuration, and the transport as a module."""
    module = home / "modules" / MODULE
    for folder in (module, home / "config", home / "plugins"):
        folder.mkdir(parents=True)
    (module / "plugin-descriptor.properties").write_text(engine.descriptor)
    shutil.copy(SOURCES / "log4j2.properties", home / "config")
    fetch(engine, home / "lib")
    pins.check(engine, home, _jars(engine, home))  # before any of it is run, by the compiler too
    _compile(engine, "Engine", home, javac)
    # Both products insist that a module's class comes from a jar of the module's own.
    if _own_transport(engine).exists():
        compiled = _compile(engine, engine.transport, home, javac)
        shutil.make_archive(str(module / MODULE), "zip", compiled)
        (module / f"{MODULE}.zip").rename(module / f"{MODULE}.jar")
    else:
        for jar in (home / "lib").glob("transport-netty4-*.jar"):
            shutil.move(jar, module)


def _compile(engine: Release, name: str, home: Path, javac: Path) -> Path:
    """Compile one of our classes into a folder of its own, for whichever JDK starts it."""
    target = home / f"{name}.classes"
    options = ["-nowarn", "--release", str(engine.java), "-cp", f"{home}/lib/*", "-d", str(target)]
    _run(str(javac), *options, str(engine.sources / f"{name}.java"))
    return target


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"cannot prepare the search engine: {error}") from error
    if done.returncode:
        output = (done.stdout + done.stderr).strip()
        if found := FORGED.search(output):
            raise UsageError(
                f"{found[1]} is not what its repository vouches for: {found[2]}", hint=FORGED_HINT
            )
        raise UnreachableError(f"cannot prepare the search engine: {command[0]} failed", hint=output[-2000:])
