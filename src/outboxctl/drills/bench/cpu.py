"""CPU time of servers that are processes of this machine."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psutil

from outboxctl.core import sessions
from outboxctl.core.database import Database

CLOCKS_DIFFER = 5.0  # seconds between what the server and the system report as a process's start
ENGINES = ("java", "noida")


def seconds(server: psutil.Process) -> float:
    """CPU seconds of a server so far, with its children, the ended ones included.

    A child that ends while they are added up would be missed: repeat until none has ended meanwhile.
    """
    while True:
        own, children = server.cpu_times(), server.children()
        total = sum(map(_seconds, children)) + own.user + own.system
        after = server.cpu_times()
        if (own.children_user, own.children_system) == (after.children_user, after.children_system):
            return float(total + own.children_user + own.children_system)


def clock(server: psutil.Process | None) -> Callable[[], float] | None:
    """A function that returns its CPU seconds so far; None without the permission to read them."""
    with suppress(psutil.Error):
        if server is not None:
            seconds(server)
            return partial(seconds, server)
    return None


def postgres(database: Database) -> psutil.Process | None:
    """The server behind `database`; None where it is no process of this machine.

    A process id alone proves nothing, since a container numbers its processes anew: the session's process
    must also have begun when the server reports.
    """
    with database.begin() as connection:
        pid, began = sessions.own(connection)
        with suppress(psutil.Error):
            session = psutil.Process(pid)
            if "postgres" in session.name() and abs(session.create_time() - began) < CLOCKS_DIFFER:
                return session.parent()
    return None


def engine(port: int) -> psutil.Process | None:
    """The engine that listens on this port of this machine; None for a container's proxy."""
    with suppress(psutil.Error):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                process = psutil.Process(each.pid)
                return process if any(name in " ".join(process.cmdline()) for name in ENGINES) else None
    return None


def _seconds(child: psutil.Process) -> float:
    try:
        times = child.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
