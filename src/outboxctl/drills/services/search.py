"""The search engine: which kind this machine can run, and its command line."""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services import engines, maven, place
from outboxctl.drills.services.model import Kind, Say, Service

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
    release = engines.RELEASES[kind]
    java = engines.java_home(release.java)
    if java is None:
        raise UnreachableError(
            f"no JDK from {release.java} on",
            hint="install one, or name one in ENGINE_JAVA_HOME, for root outside of root's own folders",
        )
    return java, maven.engine_home(release, java, say)


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
