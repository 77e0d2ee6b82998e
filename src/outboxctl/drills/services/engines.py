"""The search engines that this machine can run: real ones from Maven Central, or noida-db, an imitation.

A real engine is prepared once into the cache folder: its jars, and the few classes that Maven Central lacks;
the data is elsewhere. Maven compares a download with a checksum of the same repository, and a jar in the
local repository with nothing. So the jars are compared with a SHA-256 of our own, one for all of a release,
before anything is started.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.drills.services import place
from outboxctl.drills.services.model import Kind, Say, Service, locked
from outboxctl.settings.folders import cache_folder

SOURCES = Path(__file__).parent / "engine"
TRANSPORT = "transport"
PATIENCE_SECONDS = 900.0
CHANGED_HINT = (
    "delete {} and what Maven keeps of these jars (~/.m2/repository), and try again; if it comes again, the"
    " repository that Maven asks (settings.xml) serves other files than Maven Central did"
)
HEAP = ["-Xms512m", "-Xmx512m"]
SETTINGS = {
    "cluster.name": "outboxctl",
    "network.host": "127.0.0.1",
    # A laptop's disk is often more than 95% full, which would make every index read-only.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    # With CORS on and no origin allowed, it refuses every request that a web page of another origin sends
    # (403, tried on 9.0.4); with CORS off it carries them out, and only keeps the answers from the page.
    "http.cors.enabled": "true",
}
ALONE = {"discovery.type": "single-node", "transport.port": "0"}


@dataclass(frozen=True)
class Release:
    """One release. `product` names the folder of its sources here, and the property of its modules.

    `modules` are the classes of its modules by their names, `transport` speaks HTTP; `sha256` is the digest
    of all jars (see `digest_of`), `java` the oldest release that it runs on.
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
        """Return product and version for people."""
        return f"{'OpenSearch' if self.product == 'opensearch' else 'Elasticsearch'} {self.version}"

    @property
    def sources(self) -> Path:
        """Return the folder of the sources that Maven Central lacks."""
        return SOURCES / self.product

    def descriptor(self, module: str) -> str:
        """Return a module's descriptor: both products load a module only with such a file beside it."""
        return (
            f"name={module}\ndescription={module}\nversion={self.version}\n"
            f"{self.product}.version={self.version}\njava.version={self.java}\n"
            f"classname={self.modules[module]}\nhas.native.controller=false\n"
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


def choose(say: Say) -> Kind:
    """Choose the most real kind that this machine can run, and say so where that is an imitation."""
    try:
        parts("elasticsearch", say)
    except UnreachableError as error:
        say(f"search: using noida-db instead of a real Elasticsearch: {error}")
        return "noida"
    return "elasticsearch"


def command(service: Service, say: Say) -> list[str]:
    """Return the command line that serves the data. UnreachableError where this machine lacks the parts."""
    if service.kind == "noida":
        return _noida_command(service)
    own = ALONE | {"path.data": str(service.data), "http.port": str(service.port)}
    return engine_command(service.kind, own, HEAP, say)


def parts(kind: Kind, say: Say) -> tuple[Path, Path]:
    """Return the JDK and the prepared folder of a real engine. UnreachableError where it cannot be had."""
    release = RELEASES[kind]
    java = java_home(release.java)
    if java is None:
        raise UnreachableError(
            f"no JDK from {release.java} on",
            hint="install one, or name one in ENGINE_JAVA_HOME, for root outside of root's own folders",
        )
    return java, engine_home(release, java, say)


def engine_command(kind: Kind, settings: Mapping[str, str], jvm: Sequence[str], say: Say) -> list[str]:
    """Return the command line of a node of a real engine, with these settings beside or before our own.

    `jvm` holds the options of the Java machine. UnreachableError as of `parts`.
    """
    java, home = parts(kind, say)
    logging = f"-Dlog4j2.configurationFile={home}/config/log4j2.properties"
    pairs = [f"{name}={value}" for name, value in (SETTINGS | dict(settings)).items()]
    classpath = f"{home}/Engine.classes:{home}/lib/*"
    return [str(java / "bin" / "java"), *jvm, logging, "-cp", classpath, "Engine", str(home), *pairs]


def _noida_command(service: Service) -> list[str]:
    spec = importlib.util.find_spec("noida_db")
    if spec is None or spec.origin is None:
        raise UnreachableError("no search engine to run", hint="pip install 'outboxctl[embedded]'")
    package = Path(spec.origin).parent
    binary = package / "noida-db"  # its own wrapper would stand between us and the server
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)  # as the wrapper does: not every installer keeps the mode
    binary = place.within_reach(package, f"noida-db-{version('noida-db')}") / binary.name
    where = ["--data-dir", str(service.data), "--elasticsearch-port", str(service.port)]
    return [str(binary), "start", "--only", "elasticsearch", *where]


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
    """Return the number of jars in `home`, without our own, and `sha256sum *.jar | sort | sha256sum` of them.

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
    fetch(engine, home / "lib")
    check_jars(engine, home)  # before any of it is run, by the compiler too
    _compile(engine, "Engine", home, javac)
    for name in engine.modules:
        _add_module(engine, name, home, javac)


def fetch(engine: Release, folder: Path, *options: str) -> None:
    """Have Maven copy the jars of a release into a folder; `options` go to Maven. UnreachableError."""
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}")
    pom = str(engine.sources / "pom.xml")
    # -C refuses what differs from its checksum in the same repository.
    _run("mvn", "-B", "-C", "-f", pom, f"-Drelease={engine.version}", *options, *goal)


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
