"""The same two services as containers, where a Docker engine answers.

Not tested: no machine we build on has a Docker engine. Kept small for that reason.
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
    try:
        for question in (["info"], ["compose", "version"]):
            subprocess.run(["docker", *question], capture_output=True, check=True, timeout=PATIENCE_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def start(root: Path, service: Service) -> None:
    """Create or start the service's container. UnreachableError with Docker's message."""
    port = {f"OUTBOXCTL_{service.role.upper()}_PORT": str(service.port)}
    compose(root, "up", "-d", CONTAINERS[service.role], **port)


def compose_file() -> Path:
    """`docker-compose.yml`: in a wheel inside the package, in a checkout at the root."""
    package = Path(outboxctl.__file__).parent
    inside = package / "docker-compose.yml"
    return inside if inside.exists() else package.parents[1] / "docker-compose.yml"


def compose(root: Path, *arguments: str, **environment: str) -> None:
    """Run `docker compose` on the project of a state folder, so that two of these share no containers."""
    project = f"outboxctl-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    command = ["docker", "compose", "-f", str(compose_file()), "-p", project, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise UnreachableError("docker compose failed", hint=done.stderr.strip()[-2000:])
