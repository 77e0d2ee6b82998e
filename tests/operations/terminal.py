"""A terminal for a command: a real pseudo terminal of 24 lines, and every byte written there."""

import fcntl
import os
import pty
import re
import struct
import termios
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from processes import eventually, start

LINES = 24
HOME = "\x1b[H"  # how a frame begins: the cursor goes home, nothing is cleared
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`outboxctl` with these arguments, whose three streams are one terminal; killed at the block's end."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], cwd: Path, *, columns: int = 80) -> None:
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        os.set_blocking(self._own, False)
        self._decoder = getincrementaldecoder("utf-8")()
        self.written = ""
        self.process = start(args, env, cwd, (theirs, theirs, theirs))
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._own)

    def read(self) -> str:
        """All that was written so far."""
        with suppress(OSError):  # nothing more to read now, or ever
            while data := os.read(self._own, 65_536):
                self.written += self._decoder.decode(data)  # a read may end within a character
        return self.written

    def wait_for(self, text: str) -> None:
        """Wait until this was written."""
        eventually(lambda: text in self.read(), what=f"{text!r} is shown")

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._own, keys.encode())

    def ended(self) -> bool:
        """Whether the process has ended; what it writes is read meanwhile."""
        over = self.process.poll() is not None
        self.read()
        return over

    def shows(self, text: str) -> list[str]:
        """The lines of the newest whole frame, once they hold `text`."""
        return list(eventually(lambda: self._frame(text), what=f"{text!r} is shown"))

    def _frame(self, text: str) -> list[str]:
        frames = self.read().split(HOME)
        whole = [CONTROL.sub("", frame).split("\r\n") for frame in frames[1:]]
        newest = whole[-1] if whole else []
        return newest if len(newest) >= LINES and text in "\n".join(newest) else []


@dataclass(frozen=True)
class Shown:
    """Everything that was written to the terminal, and the exit code."""

    raw: str
    returncode: int


def show(
    args: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    *,
    columns: int,
    keys: Sequence[tuple[str, str]] = (),
) -> Shown:
    """Run `outboxctl` to its end; `keys` are what to wait for on the terminal, and what to type then."""
    with Terminal(args, env, cwd, columns=columns) as terminal:
        for text, typed in keys:
            terminal.wait_for(text)
            terminal.type(typed)
        eventually(terminal.ended, what="it has ended")
        return Shown(terminal.written, terminal.process.wait(10))
