"""The two services as containers, where `--docker` asks for them: `docker compose` on the file that is there.

Nobody has run this: no machine that this is built on has a Docker engine.
"""

import os
import subprocess
import sys
from pathlib import Path

import outboxctl
from outboxctl.domain.errors import UnreachableError


def up(*, postgres_port: int, search_port: int) -> None:
    """Start both and wait until they are healthy. UnreachableError where that fails."""
    ports = {"OUTBOXCTL_POSTGRES_PORT": str(postgres_port), "OUTBOXCTL_SEARCH_PORT": str(search_port)}
    _compose("up", "--wait", "postgres", "es", **ports)


def down(*, purge: bool) -> None:
    """End both, with `purge` their volumes too. UnreachableError where that fails."""
    _compose("down", *(["--volumes"] if purge else []))


def compose_file() -> Path:
    """`docker-compose.yml`: in a wheel inside the package, in a checkout at the root."""
    package = Path(outboxctl.__file__).parent
    inside = package / "docker-compose.yml"
    return inside if inside.exists() else package.parents[1] / "docker-compose.yml"


def _compose(*arguments: str, **environment: str) -> None:
    """Run `docker compose`; its progress goes to stderr."""
    # By name, whatever COMPOSE_PROJECT_NAME and COMPOSE_PROFILES say: nothing of another project is touched.
    command = ["docker", "compose", "-p", "outboxctl", "-f", str(compose_file()), *arguments]
    try:
        subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, **environment})
    except OSError as error:
        raise UnreachableError(f"docker cannot be run: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise UnreachableError(f"docker compose ended with {error.returncode}") from None
