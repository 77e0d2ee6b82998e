"""One person's terminal: what a page's blocks leave behind, the next ones find."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from docs.blocks import Block
from processes import eventually

# $1 is the block's own folder, $2 an exit code that is fine, $3 the folder of the block before it: what was
# assigned, exported and changed into there is so here. Another exit code ends the block.
RUNNER = r"""
if [ "$3" ]; then . "$3/state"; cd "$(cat "$3/cwd")"; fi
set -aEuo pipefail
trap 'code=$?; echo $code >> "$1/codes"; [ $code = "$2" ] || exit $code' ERR
trap 'export -p > "$1/state"; pwd > "$1/cwd"' EXIT
. "$1/block"
"""
AS_BASH = {
    "bash": "{text}",
    "python": "python - <<'END-OF-BLOCK'\n{text}END-OF-BLOCK\n",
    "sql": "psql -qv ON_ERROR_STOP=1 \"${{DATABASE_URL/+psycopg/}}\" <<'END-OF-BLOCK'\n{text}END-OF-BLOCK\n",
}
FOLDERS = ("home", "here", "kept", "bin", "state", "cache")
LONGEST = 90  # seconds for a block


@dataclass
class Run:
    """A block under way, or one that has ended."""

    block: Block
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """The end of its output."""
        return (self.folder / "said").read_text(errors="replace")[-4000:]

    @property
    def codes(self) -> set[int]:
        """Its exit code and those of its commands that were not 0."""
        codes = self.folder / "codes"
        noted = {int(each) for each in codes.read_text().split()} if codes.exists() else set()
        return noted | {self.process.wait(LONGEST)}

    def told(self) -> None:
        """Wait until it has said something, or has ended."""
        eventually(lambda: self.said or self.process.poll() is not None, what=str(self.block))

    def end(self) -> None:
        """Make sure that nothing of it runs."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(20)


@dataclass
class Shell:
    """Runs blocks in `folder`; what is in its way of doing so lies in `kept`."""

    env: Mapping[str, str]
    folder: Path
    kept: Path
    stands_for: Mapping[str, str]  # what a page writes: what it is here
    runs: list[Run] = field(default_factory=list)
    before: Path | None = None

    def run(self, block: Block) -> None:
        """Run a block as its page says; AssertionError with what it said if it does not end as expected."""
        expected = block.number("exit") or 0
        run = self._start(block, expected)
        if block.info == "background":
            run.told()
            assert not run.process.poll(), f"{block} ended:\n{run.said}"
            return
        if block.info == "stop":
            run.told()
            assert run.process.poll() is None, f"{block} ended by itself:\n{run.said}"
            os.killpg(run.process.pid, signal.SIGINT)
            expected = 130
        assert run.codes <= {0, expected}, f"{block}: exit codes {run.codes}\n{block.text}\n{run.said}"
        assert "Traceback" not in run.said, f"{block}\n{run.said}"
        self.before = run.folder

    def _start(self, block: Block, expected: int) -> Run:
        folder = self.kept / str(len(self.runs))
        folder.mkdir()
        (folder / "block").write_text(AS_BASH[block.language].format(text=self._text(block)))
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                ["bash", "-c", RUNNER, "bash", str(folder), str(expected), str(self.before or "")],
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runs.append(Run(block, folder, process))
        return self.runs[-1]

    def _text(self, block: Block) -> str:
        text = block.text
        for written, meant in self.stands_for.items():
            text = text.replace(written, meant)
        return text


@contextmanager
def terminal(env: Mapping[str, str], place: Path, stands_for: Mapping[str, str]) -> Iterator[Shell]:
    """A shell with a home, a state folder and a folder of its own below `place`."""
    home, here, kept, tools, state, cache = (place / each for each in FOLDERS)
    for folder in (home, here, kept, tools, state, cache):
        folder.mkdir(exist_ok=True)
    (tools / "xdg-open").write_text('#!/bin/sh\ntest -s "$1"\n')  # there is no screen here
    (tools / "xdg-open").chmod(0o755)
    path = os.pathsep.join([str(Path(sys.executable).parent), str(tools), env["PATH"]])
    own = {"HOME": str(home), "PATH": path, "OUTBOXCTL_STATE": str(state), "OUTBOXCTL_CACHE": str(cache)}
    shell = Shell({**env, **own}, here, kept, stands_for)
    try:
        yield shell
    finally:
        for run in shell.runs:
            run.end()
