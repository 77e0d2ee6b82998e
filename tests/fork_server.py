"""Forks processes of `outboxctl` that need not load a module first; `forked.py` sends the requests.

`python fork_server.py FD` serves the socket FD until that is closed. A fork has a pid, signals, files, an
exit code and an environment of its own. No module of outboxctl reads any of these while it is loaded.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

LOADED_LATE = ("alembic.command", "elasticsearch.helpers", "psycopg", "rich.progress", "rich.table", "typer")
TRACING = "opentelemetry"  # reads the environment while it is loaded
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


def _load() -> None:
    """Every module that reads nothing of its process, and what is loaded late otherwise."""
    for name in LOADED_LATE:
        importlib.import_module(name)
    sys.modules[TRACING] = None  # type: ignore[assignment]  # what needs it is not loaded
    package = importlib.import_module("outboxctl")
    for module in pkgutil.walk_packages(package.__path__, "outboxctl."):
        if not module.name.endswith("__main__"):
            with suppress(ModuleNotFoundError):
                importlib.import_module(module.name)
    del sys.modules[TRACING]
    _make_commands()


def _make_commands() -> None:
    """Make the tree of commands once: a fifth of what a short command takes."""
    typer_main = importlib.import_module("typer.main")
    typer_main.get_command = functools.cache(typer_main.get_command)  # type: ignore[attr-defined]
    typer_main.get_command(importlib.import_module("outboxctl.cli.app").app)


def _unload() -> None:
    """Forget outboxctl: a module keeps the clock that it found when it was loaded."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "outboxctl"]:
        del sys.modules[name]


def _leave(end: SystemExit) -> None:
    """Exit as Python does, but leave the memory to the kernel: to free an object copies the server's page."""
    if not isinstance(end.code, int):
        raise end
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python does before it exits
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code & 0xFF)


if __name__ == "__main__":
    _load()
    suspended = importlib.import_module("suspended")
    gc.freeze()  # pages that no collection touches stay shared
    sys.argv[1:] = serve(socket.socket(fileno=int(sys.argv[1])))
    if suspended.install():
        _unload()
    try:
        runpy.run_module("outboxctl", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        _leave(end)
