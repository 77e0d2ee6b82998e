"""The same two services as containers, where a Docker engine answers.

Unproven: no machine we build on has a Docker engine. Kept small for that reason.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import outboxctl
from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services.model import Role, Service

CONTAINERS: dict[Role, str] = {"postgres": "postgres", "search": "es"}
PATIENCE_SECONDS = 5


def available() -> bool:
    """Whether an engine and Compose answer, within a few seconds."""
    return all(_answers(*question) for question in (["info"], ["compose", "version"]))


def start(root: Path, service: Service) -> None:
    """Create or start the service's container. UnreachableError with what Docker said."""
    port = {f"OUTBOXCTL_{service.role.upper()}_PORT": str(service.port)}
    _compose(root, "up", "-d", CONTAINERS[service.role], environment=port)


def stop(root: Path, service: Service) -> None:
    """Stop the container; its volume stays."""
    _compose(root, "stop", CONTAINERS[service.role])


def remove(root: Path) -> None:
    """Remove the containers of this state folder with their volumes."""
    _compose(root, "down", "--volumes")


def compose_file() -> Path:
    """`docker-compose.yml`: in a wheel inside the package, in a checkout at the root."""
    package = Path(outboxctl.__file__).parent
    inside = package / "docker-compose.yml"
    return inside if inside.exists() else package.parents[1] / "docker-compose.yml"


def _compose(root: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
    # One project a state folder, so that two of them do not share containers.
    project = f"outboxctl-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    command = ["docker", "compose", "-f", str(compose_file()), "-p", project, *arguments]
    surroundings = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    if done.returncode:
        raise UnreachableError("docker compose failed", hint=done.stderr.strip()[-2000:])


def _answers(*arguments: str) -> bool:
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, check=False, timeout=PATIENCE_SECONDS
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
