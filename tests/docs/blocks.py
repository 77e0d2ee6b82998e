"""The fenced blocks of a page, and what the page says about them.

A block of bash, SQL or Python is run, unless what follows its language says otherwise:

- `no-test: why` is not run; without a why, the paragraph before it says why.
- `exit=4`: its commands may exit with 4, and it goes on after each.
- `stop`: it runs until ^C, which comes once it has said something.
- `background`: it goes on running beside the blocks that follow, until the end of the page.

A block of text or JSON with `output` shows what the block before it has said: some of its lines, each a part
of one, with `…` for what may be anything and other seconds.

A page may say what it needs: `<!-- page: needs worker -->` (`NEEDS`), or that another
test runs it: `<!-- page: run by tests/operations/test_partitions.py -->`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RUN = {"bash", "python", "sql"}
# Everything else is output, a file's content or a picture; `sh` and a bare fence would hide a command.
SHOWN = {
    "console",
    "css",
    "dockerfile",
    "html",
    "ini",
    "json",
    "mermaid",
    "promql",
    "ruby",
    "text",
    "toml",
    "yaml",
}
# What a page may need, and is given in `conftest.py`.
NEEDS = {
    "empty database": "no table is there yet",
    "evidence": "of two runs of labs, in lab-evidence/before and after",
    "nothing failed": "all that was due was delivered, two events are",
    "knn": "of the servers of its own the engine is a real one",
    "own servers": "they may be stopped, and have roles made in them",
    "worker": "one is running",
}
FENCE = re.compile(r"^( *)```([\w-]*) *([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
VARIES = re.compile(r"…|\d[\d.]* s\b")  # in an output
SAID = re.compile(r"<!-- page: (needs|run by) (.+?) -->")


def name(page: Path) -> str:
    """The path of a page."""
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language, what follows that, the text, the paragraph before."""

    page: Path
    line: int
    language: str
    info: str
    text: str
    before: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.language in RUN and not self.info.startswith("no-test")

    @property
    def skipped(self) -> bool:
        return self.language in RUN and not self.runs

    @property
    def output(self) -> bool:
        """Whether it shows what the block before it has said."""
        return self.info == "output"

    def unsaid(self, said: str) -> list[str]:
        """Those of its lines that `said` does not have."""
        return [
            line
            for line in self.text.splitlines()
            if not re.search(".*".join(map(re.escape, VARIES.split(line.strip()))), said)
        ]

    def number(self, word: str) -> int | None:
        """The number in `word=number`."""
        found = re.search(rf"\b{word}=(\d+)\b", self.info)
        return int(found[1]) if found else None


def blocks(page: Path, text: str = "") -> list[Block]:
    """All blocks of a page, in order; `text` is that of a page which is made for the site alone."""
    text = text or page.read_text()
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found[2],
            info=found[3].strip(),
            text=dedent(found[4]),
            before=text[: found.start()].rstrip("\n").rpartition("\n\n")[2],
        )
        for found in FENCE.finditer(text)
    ]


def said(page: Path) -> tuple[set[str], str | None]:
    """What a page needs, and which other test runs it."""
    found = dict(SAID.findall(page.read_text()))
    return set(filter(None, found.get("needs", "").split(", "))), found.get("run by")
