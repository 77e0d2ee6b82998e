"""Wait until a service answers."""

import time
from collections import deque
from dataclasses import replace

from outboxctl.domain.errors import UnreachableError
from outboxctl.drills.services import postgres, sockets
from outboxctl.drills.services.model import Service

PAUSE_SECONDS = 0.1
LOG_LINES = 15


def wait_ready(service: Service, *, seconds: float = 120.0) -> Service:
    """Return the service with its version. UnreachableError once its process is dead or time is up."""
    deadline = time.monotonic() + seconds
    while not (version := _version(service)):
        if service.kind != "docker" and not service.running:
            raise UnreachableError(f"{service.role} ended while it started", hint=_last_words(service))
        if time.monotonic() > deadline:
            raise UnreachableError(f"{service.role} is silent after {seconds:g} s", hint=_last_words(service))
        time.sleep(PAUSE_SECONDS)
    return replace(service, version=version)


def _version(service: Service) -> str:
    return postgres.version(service) if service.role == "postgres" else sockets.engine_version(service.port)


def _last_words(service: Service) -> str:
    """Quote the tail of its log, and say where the rest is."""
    if not service.log.exists():
        return f"no log at {service.log}"
    with service.log.open(errors="replace") as log:
        tail = "".join(deque(log, maxlen=LOG_LINES))
    return f"{service.log} ends:\n{tail.rstrip()}"
