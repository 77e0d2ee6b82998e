"""A command that goes on, in a terminal of its own: 80 columns, 24 lines, and every byte written there."""

import fcntl
import os
import pty
import re
import struct
import termios
from codecs import getincrementaldecoder
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from processes import eventually, start

COLUMNS, LINES = 80, 24
HOME = "\x1b[H"  # how a frame begins: the cursor goes home, nothing is cleared
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`with Terminal(env, cwd, "status", "--watch", "1") as terminal`: killed at the end if it still runs."""

    def __init__(self, env: dict[str, str], cwd: Path, *args: str) -> None:
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.set_blocking(self._own, False)
        self._decoder = getincrementaldecoder("utf-8")()
        self.written = ""
        self.process = start(args, {"TERM": "xterm-256color"} | env, cwd, (theirs, theirs, theirs))
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

    def shows(self, text: str) -> list[str]:
        """The lines of the newest whole frame, once they hold `text`."""
        return list(eventually(lambda: self._frame(text), what=f"{text!r} is shown"))

    def _frame(self, text: str) -> list[str]:
        frames = self.read().split(HOME)
        whole = [CONTROL.sub("", frame).split("\r\n") for frame in frames[1:]]
        newest = whole[-1] if whole else []
        return newest if len(newest) >= LINES and text in "\n".join(newest) else []
