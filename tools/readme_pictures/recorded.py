"""A command in a pseudo terminal of its own: what it wrote there, and when."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic


@dataclass(frozen=True)
class Write:
    """What a command wrote to its terminal at once, so many seconds after its start."""

    at: float
    text: bytes


@dataclass(frozen=True)
class Terminal:
    """How large the terminal is, and which environment and folder the command gets."""

    columns: int
    lines: int
    env: Mapping[str, str]
    cwd: Path


def record(
    command: Sequence[str],
    terminal: Terminal,
    *,
    keys: tuple[float, bytes] | None = None,
    within: float = 180,
) -> list[Write]:
    """Everything that the command wrote until it ended.

    `keys` are typed so many seconds after its start. Raises TimeoutError if it has not ended `within`
    seconds, and CalledProcessError if it ended with anything but 0.
    """
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", terminal.lines, terminal.columns, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    env = {**terminal.env, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, env=env, cwd=terminal.cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        writes = _read_all(ours, keys, within)
        if code := process.wait(10):
            raise subprocess.CalledProcessError(code, command, writes[-1].text if writes else b"")
        return writes
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_all(descriptor: int, keys: tuple[float, bytes] | None, within: float) -> list[Write]:
    writes: list[Write] = []
    began = monotonic()
    while True:
        elapsed = monotonic() - began
        if elapsed > within:
            raise TimeoutError(f"the command has not ended after {within:g} s")
        if keys and elapsed >= keys[0]:
            os.write(descriptor, keys[1])
            keys = None
        if select.select([descriptor], [], [], 0.1)[0]:
            text = _read(descriptor)
            if not text:
                return writes
            writes.append(Write(monotonic() - began, text))


def _read(descriptor: int) -> bytes:
    """What is there; nothing once the command has ended, which Linux reports as an error."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""
