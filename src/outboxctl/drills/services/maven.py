"""A real search engine from Maven Central: its jars, and the few classes that Maven Central lacks.

Prepared once into the cache folder; the data is elsewhere. Maven compares a download with a checksum of the
same repository, and a jar in the local repository with nothing. So the jars are compared with a SHA-256 of
our own, one for all of a release, before anything is started.
"""

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import place
from outboxctl.drills.services.engines import SOURCES, Release
from outboxctl.drills.services.model import Say
from outboxctl.drills.services.record import locked
from outboxctl.settings.folders import cache_folder

TRANSPORT = "transport"
PATIENCE_SECONDS = 900.0
CHANGED_HINT = (
    "delete {} and what Maven keeps of these jars (~/.m2/repository), and try again; if it comes again, the"
    " repository that Maven asks (settings.xml) serves other files than Maven Central did"
)


def engine_home(engine: Release, java: Path, say: Say) -> Path:
    """Return the folder to use as `path.home`, prepared if need be.

    UnreachableError where that fails, UsageError where the jars are not those that were pinned.
    """
    home = cache_folder() / f"{engine.product}-{engine.version}-{_fingerprint(engine)}"
    with locked(cache_folder(), say):
        if not home.exists():
            amount = f"{engine.jars} jars, {engine.megabytes} MB"
            say(f"preparing {engine.title}, once: {amount}, from Maven Central or what Maven has of them")
            for leftover in home.parent.glob("*.part"):
                shutil.rmtree(leftover, ignore_errors=True)
            # A name of our own: the Maven of a killed attempt may still write into its folder.
            part = home.with_name(f"{home.name}.{os.getpid()}.part")
            _build(engine, part, java / "bin" / "javac")
            part.rename(home)
    used = place.within_reach(home, home.name)
    check_jars(engine, used)
    return used


def check_jars(engine: Release, home: Path) -> None:
    """UsageError unless the jars in `home` are those that were pinned: each once, none more, unchanged."""
    jars, digest = digest_of(engine, home)
    if digest != engine.sha256:
        found = f"expected {engine.jars} jars with SHA-256 {engine.sha256}, found {jars} with {digest}"
        raise UsageError(f"the jars of {engine.title} were changed: {found}", hint=CHANGED_HINT.format(home))


def digest_of(engine: Release, home: Path) -> tuple[int, str]:
    """How many jars there are in `home`, but for our own, and what `sha256sum *.jar | sort | sha256sum` says.

    About 0.1 s for the 40 to 65 MB of an engine: several jars are read at a time.
    """
    own = home / "modules" / TRANSPORT / f"{TRANSPORT}.jar"  # of our own
    jars = [jar for jar in home.rglob("*.jar") if jar != own or not _own_transport(engine).exists()]
    with ThreadPoolExecutor() as pool:
        digests = pool.map(_digest, jars)
        lines = sorted(f"{digest}  {jar.name}\n" for jar, digest in zip(jars, digests, strict=True))
    return len(jars), hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(jar: Path) -> str:
    with jar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_transport(engine: Release) -> Path:
    return engine.sources / f"{engine.modules[TRANSPORT]}.java"


def _fingerprint(engine: Release) -> str:
    """Changed sources make another home, so that an upgrade of outboxctl never starts old classes."""
    sources = sorted(engine.sources.iterdir())
    descriptors = "".join(map(engine.descriptor, engine.modules))
    content = [f"{descriptors}{engine.sha256}".encode(), *(path.read_bytes() for path in sources)]
    return hashlib.sha256(b"".join(content)).hexdigest()[:8]


def _build(engine: Release, home: Path, javac: Path) -> None:
    """Make the folder that the server expects: jars, configuration, and the modules."""
    for folder in (home / "config", home / "plugins"):
        folder.mkdir(parents=True)
    shutil.copy(SOURCES / "log4j2.properties", home / "config")
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={home / 'lib'}")
    pom = str(engine.sources / "pom.xml")
    # -C refuses what differs from its checksum in the same repository.
    _run("mvn", "-B", "-C", "-f", pom, f"-Drelease={engine.version}", *goal)
    check_jars(engine, home)  # before any of it is run, by the compiler too
    _compile(engine, "Engine", home, javac)
    for name in engine.modules:
        _add_module(engine, name, home, javac)


def _add_module(engine: Release, name: str, home: Path, javac: Path) -> None:
    """Put a module beside its descriptor: both products load its class only from a jar of its own."""
    module = home / "modules" / name
    module.mkdir(parents=True)
    (module / "plugin-descriptor.properties").write_text(engine.descriptor(name))
    if name == TRANSPORT and _own_transport(engine).exists():
        compiled = _compile(engine, engine.modules[name], home, javac)
        shutil.make_archive(str(module / name), "zip", compiled)
        (module / f"{name}.zip").rename(module / f"{name}.jar")
    else:
        for jar in (home / "lib").glob(f"{name}-*client-{engine.version}.jar"):
            shutil.move(jar, module)


def _compile(engine: Release, name: str, home: Path, javac: Path) -> Path:
    """Compile one of our classes into a folder of its own, for whichever JDK starts it."""
    target = home / f"{name}.classes"
    options = ["-nowarn", "--release", str(engine.java), "-cp", f"{home}/lib/*", "-d", str(target)]
    _run(str(javac), *options, str(engine.sources / f"{name}.java"))
    return target


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"cannot prepare the search engine: {error}") from error
    if done.returncode:
        output = "".join(
            line for line in done.stdout.splitlines(True) if not line.startswith("[INFO]")
        ).strip()
        raise UnreachableError(f"cannot prepare the search engine: {command[0]} failed", hint=output[-2000:])
