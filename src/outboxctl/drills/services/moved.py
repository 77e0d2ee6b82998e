"""A service that listens on another port than requested: what users have written for that port is wrong."""

from contextlib import suppress

import psutil

from outboxctl.domain.printable import brief
from outboxctl.drills.services.launch import DEFAULT_PORTS
from outboxctl.drills.services.model import Role, Service

NAMES: dict[Role, tuple[str, str]] = {
    "postgres": ("PostgreSQL", "DATABASE_URL"),
    "search": ("the search engine", "ELASTIC_URL"),
}
NAME_LENGTH = 40


def asked_port(service: Service, option: int | None) -> int:
    """The port that a reader expects: the one of the command line, else the default."""
    return option or DEFAULT_PORTS[service.role]


def warning(service: Service, requested: int) -> str | None:
    """A line with the port, the reason and what to do; None where it listens on the requested port."""
    if service.port == requested:
        return None
    name, variable = NAMES[service.role]
    moved = f"PORT MOVED: {name} listens on {service.port}, not on {requested}: {_why(requested)}."
    again = f"outboxctl services down; outboxctl services up --{service.role}-port {requested}"
    return f"{moved} {variable} on stdout leads there. To have {requested}, free it and run: {again}"


def _why(port: int) -> str:
    holder = _holder(port)
    if holder is None:
        return "its earlier start was given another one"
    return f"{holder} holds that one" if holder else "a process of somebody else's holds that one"


def _holder(port: int) -> str | None:
    """Name and pid of the process that listens there; empty if it may not be known, None if there is none."""
    with suppress(psutil.AccessDenied):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port:
                return _named(each.pid)
        return None
    return ""


def _named(pid: int | None) -> str:
    with suppress(psutil.Error):
        return f"{brief(psutil.Process(pid).name(), NAME_LENGTH)} (pid {pid})" if pid else ""
    return ""
