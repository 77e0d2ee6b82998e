"""Forks processes of `outboxctl` that need not load other people's libraries first; `forked.py` asks it to.

`python fork_server.py FD` serves the socket FD until that is closed. A fork has a pid, signals, files, an
exit code and an environment of its own, and loads the whole of outboxctl anew, as any process does.
"""

import gc
import importlib
import json
import os
import runpy
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

LIBRARIES = (
    "alembic.command",
    "asyncio",
    "elasticsearch.helpers",
    "http.server",
    "prometheus_client",
    "psutil",
    "pydantic_settings",
    "rich.progress",
    "rich.table",
    "sqlalchemy.dialects.postgresql.psycopg",
    "structlog",
)
NUMBER = struct.Struct("i")


def serve(link: socket.socket) -> list[str]:
    """Fork for each request; comes back in the forks only, with the arguments of theirs."""
    while True:
        header, fds, _, _ = socket.recv_fds(link, NUMBER.size, 4)
        if not header:
            os._exit(0)
        (length,) = NUMBER.unpack(header)
        request = json.loads(link.recv(length, socket.MSG_WAITALL))
        if os.fork() == 0:
            link.close()
            return _become(request, fds)
        for fd in fds:
            os.close(fd)
        _forget_the_dead()


def _forget_the_dead() -> None:
    """Those who told an exit code; so `time` counts what they and their processes took."""
    with suppress(ChildProcessError):
        while any(os.waitpid(-1, os.WNOHANG)):
            pass


def _become(request: dict[str, Any], fds: Sequence[int]) -> list[str]:
    """The process that was asked for, in a session of its own."""
    *standard, tell = fds
    _wait_for_it(tell, standard)
    os.setsid()
    for fd, name in zip(standard, ("stdin", "stdout", "stderr"), strict=True):
        _reopen(fd, name)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = request["cwd"]  # as `python -m` does
    os.write(tell, NUMBER.pack(os.getpid()))
    os.close(tell)
    return list(request["args"])


def _reopen(fd: int, name: str) -> None:
    """As Python does it at its start: a stream remembers what kind of file it has."""
    old = getattr(sys, name)
    os.dup2(fd, old.fileno())
    os.close(fd)
    new = os.fdopen(old.fileno(), old.mode, encoding=old.encoding, errors=old.errors, closefd=False)
    new.reconfigure(line_buffering=new.isatty() or name == "stderr")
    setattr(sys, name, new)


def _wait_for_it(tell: int, standard: Sequence[int]) -> None:
    """Comes back in another fork; we stay, to tell how that one ended."""
    child = os.fork()
    if child:
        for fd in standard:
            os.close(fd)  # who reads them waits for the last that could write
        _, status = os.waitpid(child, 0)
        os.write(tell, NUMBER.pack(os.waitstatus_to_exitcode(status)))
        os._exit(0)


if __name__ == "__main__":
    for name in LIBRARIES:
        importlib.import_module(name)
    suspended = importlib.import_module("suspended")
    gc.freeze()  # pages that no collection touches stay shared
    sys.argv[1:] = serve(socket.socket(fileno=int(sys.argv[1])))
    suspended.install()
    runpy.run_module("outboxctl", run_name="__main__", alter_sys=True)
