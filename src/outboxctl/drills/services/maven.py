"""A real search engine from Maven Central: its jars, and the few classes that Maven Central lacks.

Prepared once into the cache folder; the data is elsewhere. Maven compares a download with a checksum of the
same repository, and a jar in the local repository with nothing. So the jars are compared with a list of
SHA-256 of our own, a file for each release, before anything is started.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import place
from outboxctl.drills.services.engines import SOURCES, Release
from outboxctl.drills.services.model import Say, silent
from outboxctl.drills.services.record import locked
from outboxctl.settings.folders import cache_folder

MODULE = "transport"
PATIENCE_SECONDS = 900.0
FETCHED = re.compile(r"Downloaded from \S+: \S*/([^/\s]+\.jar)\b")
EACH = 10  # jars from one line of progress to the next
# Maven's message: Could not transfer artifact G:A:jar:V from/to … (…): Checksum validation failed, …
FORGED = re.compile(r"artifact (\S+) from/to [^\n]*?(Checksum validation failed[^\n]*?)(?: ->|\n|$)")
FORGED_HINT = (
    "try again; if it comes again, the repository that Maven asks (settings.xml) is damaged or forged"
)
CHANGED_HINT = (
    "delete {} and what Maven keeps of that jar (~/.m2/repository), and try again; if it comes again, the"
    " repository that Maven asks (settings.xml) serves another file than Maven Central did"
)


def pin_file(engine: Release) -> Path:
    """The list of one release, in the format of `sha256sum`."""
    return SOURCES / f"{engine.product}-{engine.version}.sha256"


def engine_home(engine: Release, java: Path, say: Say) -> Path:
    """Return the folder to use as `path.home`, prepared if need be.

    UnreachableError where that fails, UsageError where a jar is not the one of its list.
    """
    home = cache_folder() / f"{engine.product}-{engine.version}-{_fingerprint(engine)}"
    with locked(cache_folder(), say):
        if not home.exists():
            amount = f"{len(pinned(engine))} jars, {engine.megabytes} MB"
            say(f"preparing {engine.title}, once: {amount}, from Maven Central or what Maven has of them")
            for leftover in home.parent.glob("*.part"):
                shutil.rmtree(leftover, ignore_errors=True)
            # A name of our own: the Maven of a killed attempt may still write into its folder.
            part = home.with_name(f"{home.name}.{os.getpid()}.part")
            _build(engine, part, java / "bin" / "javac", say)
            part.rename(home)
    used = place.within_reach(home, home.name)
    check_jars(engine, used)
    return used


def fetch(engine: Release, folder: Path, *more: str, say: Say = silent) -> None:
    """Download the jars of an engine into a folder; what differs from its checksum there is refused (-C).

    `say` is told how far it is. UnreachableError where it fails, UsageError for a wrong checksum.
    """
    total, fetched = len(pinned(engine)), set[str]()

    def see(line: str) -> None:
        if (jar := FETCHED.search(line)) and jar[1] not in fetched:
            fetched.add(jar[1])
            if len(fetched) % EACH == 0:
                say(f"{len(fetched)} of {total} jars downloaded")

    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    pom = str(engine.sources / "pom.xml")
    _run("mvn", "-B", "-C", "-f", pom, f"-Drelease={engine.version}", *goal, *more, see=see)


def check_jars(engine: Release, home: Path) -> None:
    """UsageError unless the jars in `home` are those of the list, each once and unchanged.

    About 0.1 s for the 40 to 65 MB of an engine: the digests of several jars are made at a time.
    """
    own = home / "modules" / MODULE / f"{MODULE}.jar"  # of our own transport
    jars = sorted(jar for jar in home.rglob("*.jar") if jar != own or not _own_transport(engine).exists())
    listed = pinned(engine)
    hint = CHANGED_HINT.format(home)
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_digest, jars))
    for jar, digest in zip(jars, digests, strict=True):
        expected = listed.pop(jar.name, "none, it is not a jar of this release")
        if digest != expected:
            raise UsageError(f"{jar} was changed: SHA-256 expected {expected}, found {digest}", hint=hint)
    for name, digest in listed.items():
        raise UsageError(f"{engine.title} lacks {name}: SHA-256 expected {digest}", hint=hint)


def pinned(engine: Release) -> dict[str, str]:
    """The SHA-256 of each jar of its list, by name."""
    return {name: digest for digest, name in map(str.split, pin_file(engine).read_text().splitlines())}


def pin_lines(jars: Iterable[Path]) -> Iterator[str]:
    """The list of these jars, by name."""
    for jar in sorted(jars, key=lambda path: path.name):
        yield f"{_digest(jar)}  {jar.name}\n"


def _digest(jar: Path) -> str:
    with jar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_transport(engine: Release) -> Path:
    return engine.sources / f"{engine.transport}.java"


def _fingerprint(engine: Release) -> str:
    """Changed sources make another home, so that an upgrade of outboxctl never starts old classes."""
    sources = [*sorted(engine.sources.iterdir()), pin_file(engine)]
    content = [engine.descriptor.encode(), *(path.read_bytes() for path in sources)]
    return hashlib.sha256(b"".join(content)).hexdigest()[:8]


def _build(engine: Release, home: Path, javac: Path, say: Say) -> None:
    """Make the folder that the server expects: jars, configuration, and the transport as a module."""
    module = home / "modules" / MODULE
    for folder in (module, home / "config", home / "plugins"):
        folder.mkdir(parents=True)
    (module / "plugin-descriptor.properties").write_text(engine.descriptor)
    shutil.copy(SOURCES / "log4j2.properties", home / "config")
    fetch(engine, home / "lib", say=say)
    check_jars(engine, home)  # before any of it is run, by the compiler too
    _compile(engine, "Engine", home, javac)
    # Both products load a module's class only from a jar of the module's own.
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


def _run(*command: str, see: Callable[[str], None] = silent) -> None:
    """Run a command; `see` is called with each line that it prints."""
    said = []
    try:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as error:
        raise UnreachableError(f"cannot prepare the search engine: {error}") from error
    timer = Timer(PATIENCE_SECONDS, running.kill)
    timer.start()
    try:
        with running:
            for line in running.stdout or ():
                see(line)
                said += [] if line.startswith("[INFO]") else [line]
    finally:
        timer.cancel()
    if running.returncode:
        output = "".join(said).strip()
        if match := FORGED.search(output):
            raise UsageError(f"{match[1]} differs from its checksum: {match[2]}", hint=FORGED_HINT)
        raise UnreachableError(f"cannot prepare the search engine: {command[0]} failed", hint=output[-2000:])
