"""Recorders: each types a command into a terminal of 80 columns and returns what the terminal shows."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from operations.terminal import screen, show
from processes import start_program

COLUMNS = 80
SIZE = ("-x", str(COLUMNS), "-y", "24")
Record = Callable[[str], list[str]]


@contextmanager
def by_pty(environ: dict[str, str], cwd: Path) -> Iterator[Record]:
    """A recorder that gives each command a pseudo terminal of its own."""
    env = environ | {"TERM": "xterm-256color"}

    def record(command: str) -> list[str]:
        shown = show(["bash", "-c", command], env, cwd, columns=COLUMNS, run=start_program)
        return screen(shown.raw, COLUMNS)

    yield record


@contextmanager
def by_tmux(environ: dict[str, str], cwd: Path) -> Iterator[Record]:
    """A recorder that types into one shell in tmux and reads what the pane shows, history included."""
    server = f"session-{uuid.uuid4().hex[:8]}"

    def tmux(*args: str) -> str:
        command = ["tmux", "-L", server, "-f", "/dev/null", *args]
        env = environ | {"TERM": "xterm-256color"}
        done = subprocess.run(
            command, env=env, cwd=cwd, capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def pane_with(prompts: int) -> str:
        end = monotonic() + 60
        while len(_prompts(pane := tmux("capture-pane", "-p", "-S", "-"))) < prompts:
            assert monotonic() < end, pane
            sleep(0.05)
        return pane

    def record(command: str) -> list[str]:
        before = len(_prompts(pane_with(1)))
        tmux("send-keys", "-l", command)
        tmux("send-keys", "Enter")
        pane = pane_with(before + 1)
        *_, typed, last = _prompts(pane)
        return pane.splitlines()[typed + 1 + (len(command) + 1) // COLUMNS : last]

    shell = "env PS1='$ ' HISTFILE= bash --norc --noprofile"
    tmux("start-server", ";", "set", "-g", "status", "off", ";", "new-session", "-d", *SIZE, shell)
    try:
        yield record
    finally:
        tmux("kill-server")


def _prompts(pane: str) -> list[int]:
    """The lines in which a prompt stands."""
    return [number for number, line in enumerate(pane.splitlines()) if line == "$" or line.startswith("$ ")]
