"""A terminal for a command: a real pseudo terminal of any width."""

import fcntl
import os
import pty
import select
import struct
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from processes import Process, start


@dataclass(frozen=True)
class Shown:
    """Everything that was written to the terminal, and the exit code."""

    raw: str
    returncode: int


def show(
    args: Sequence[str],
    env: dict[str, str],
    cwd: Path,
    *,
    columns: int,
    keys: Sequence[tuple[str, str]] = (),
    within: float = 60,
    run: Callable[..., Process] = start,
) -> Shown:
    """Run `outboxctl` with these arguments; its three streams are one terminal of 24 lines.

    `keys` are what to wait for on the terminal, and what to type then. `run` starts another program.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = run(args, env, cwd, (theirs, theirs, theirs))
    os.close(theirs)
    try:
        raw = _read_all(ours, list(keys), monotonic() + within)
        return Shown(raw, process.wait(10))
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_all(descriptor: int, keys: list[tuple[str, str]], end: float) -> str:
    raw, seen = b"", 0
    while True:
        assert select.select([descriptor], [], [], max(0, end - monotonic()))[0], (
            f"hangs after {raw[-500:]!r}"
        )
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # Linux says EIO once the other side is closed
            part = b""
        if not part:
            return raw.decode(errors="surrogateescape")
        raw += part
        if keys and keys[0][0].encode() in raw[seen:]:
            seen = len(raw)
            os.write(descriptor, keys.pop(0)[1].encode())
