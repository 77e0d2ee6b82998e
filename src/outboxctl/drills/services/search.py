"""The search engine: which kind this machine can run, and its command line."""

import importlib.util
import os
from importlib.metadata import version
from pathlib import Path

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services import docker, engines, maven, place
from outboxctl.drills.services.model import Kind, Say, Service

HEAP = ["-Xms512m", "-Xmx512m"]
SETTINGS = {
    "cluster.name": "outboxctl",
    "discovery.type": "single-node",
    "network.host": "127.0.0.1",
    "transport.port": "0",
    # A laptop's disk is often more than 95% full, which would make every index read-only.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    # With CORS on and no origin allowed, it refuses every request that a web page of another origin sends
    # (403, tried on 9.0.4); with CORS off it carries them out, and only keeps the answers from the page.
    "http.cors.enabled": "true",
}


def choose(say: Say) -> Kind:
    """Choose the most real kind that this machine can run, and say so where that is an imitation."""
    if docker.available():
        return "docker"
    try:
        _parts("elasticsearch", say)
    except UnreachableError as error:
        say(f"search: using noida-db instead of a real Elasticsearch: {error}")
        return "noida"
    return "elasticsearch"


def command(service: Service, say: Say) -> list[str]:
    """Return the command line that serves the data. UnreachableError where this machine lacks the parts."""
    return _noida_command(service) if service.kind == "noida" else _engine_command(service, say)


def _parts(kind: Kind, say: Say) -> tuple[Path, Path]:
    """Return the JDK and the prepared folder."""
    release = engines.RELEASES[kind]
    java = engines.java_home(release.java)
    if java is None:
        raise UnreachableError(
            f"no JDK from {release.java} on",
            hint="install one, or name one in ENGINE_JAVA_HOME, for root outside of root's own folders",
        )
    return java, maven.engine_home(release, java, say)


def _engine_command(service: Service, say: Say) -> list[str]:
    java, home = _parts(service.kind, say)
    logging = f"-Dlog4j2.configurationFile={home}/config/log4j2.properties"
    own = SETTINGS | {"path.data": str(service.data), "http.port": str(service.port)}
    settings = [f"{name}={value}" for name, value in own.items()] + list(service.settings)
    classpath = f"{home}/Engine.classes:{home}/lib/*"
    return [str(java / "bin" / "java"), *HEAP, logging, "-cp", classpath, "Engine", str(home), *settings]


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
