"""Which files of the repository a command writes, and what all of them come to: `python -m tools.generated`.

Generated is what a command of this project writes, whether from other files (`make docs`), from what it
measures (`make bench`), or from what servers, a package index or a recorded session say. Of a page that is
written by hand but for a part, the part counts: tables between marks, and the output in a session. A picture
has bytes and no lines. What only the site needs is not in the repository: `tools/site_pages.py`.
"""

import re
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

MOST_LINES, MOST_BYTES = 3_100, 4_000_000
# A path or a pattern, and what writes it.
GENERATED = {
    "benchmarks/RESULTS.json": "make bench",
    "benchmarks/RESULTS.md": "make bench",
    "deploy/grafana/outbox.json": "make docs",
    "deploy/kubernetes/components/monitoring/rules.yaml": "make docs",
    "deploy/prometheus/outbox.rules.yml": "make docs",
    "docs/contract/names.json": "make docs",
    "docs/*.png": "make docs",
    "docs/*.svg": "make docs",
    "docs/reference/*": "make docs, make schema",
    "requirements.lock": "make lock",
    "src/outboxctl/cli/first_sentences.json": "make docs",
    "src/outboxctl/drills/services/engine/*.sha256": "make engine-jars",
    "tests/deploy/schemas/*.json": "copied from the operators of Kubernetes",
    "tests/sink/answers/*.json": "recorded from engines",
    "tests/unit/evidence/*.json": "recorded by an older build",
}
# Of these only what the expression finds.
PARTLY = {
    "docs/operators-desk/session.md": r"^```console\n(?:.*\n)*?```$",
    "docs/projections-session.md": r"^```console\n(?:.*\n)*?```$",
    "docs/labs/README.md": r"^<!-- labs: written by `make docs` -->\n(?:.*\n)*?<!-- end -->$",
}
COMMAND = re.compile(r"^(?:\$ .*|```.*|<!-- .*)\n?", re.M)  # of a session, and its frame: by hand
BY_HAND = {"docs/projections-session/*.json"}
PICTURES = (".png", ".svg")
MADE_OF = (".csv", ".json", ".lock", ".log", ".png", ".sha256", ".svg")  # suffixes of what is rarely by hand
SAYS_SO = re.compile(r"(?:Generated|Recorded|Made|Written) by `make", re.IGNORECASE)


@dataclass(frozen=True)
class Amount:
    """A file's lines that a command wrote, and the bytes of the file."""

    path: str
    lines: int
    size: int


def amounts(root: Path, paths: Iterable[str]) -> Iterator[Amount]:
    """Of these files those that are generated, wholly or partly."""
    for path in sorted(paths):
        content = (root / path).read_bytes()
        if path in PARTLY:
            parts = re.findall(PARTLY[path], content.decode(), re.M)
            yield Amount(path, sum(COMMAND.sub("", part).count("\n") for part in parts), 0)
        elif listed(path, GENERATED):
            lines = 0 if path.endswith(PICTURES) else content.count(b"\n")
            yield Amount(path, lines, len(content))


def listed(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path is one of these, or below a pattern's folder and of its suffix."""
    return any(PurePath(path).match(pattern) or _below(path, pattern) for pattern in patterns)


def suspects(root: Path, paths: Iterable[str]) -> list[str]:
    """Files that look generated, and are on no list here."""
    known = [*GENERATED, *PARTLY, *BY_HAND]
    return [path for path in sorted(paths) if not listed(path, known) and _looks_generated(root / path)]


def packed(root: Path, paths: Iterable[str]) -> int:
    """About the bytes that a clone of depth 1 transfers: Git packs each file by itself, as this does."""
    return sum(len(zlib.compress((root / path).read_bytes())) for path in paths)


def _below(path: str, pattern: str) -> bool:
    folder, _, suffix = pattern.partition("*")
    return bool(suffix) and path.startswith(folder) and path.endswith(suffix)


def _looks_generated(file: Path) -> bool:
    if file.suffix in MADE_OF:
        return True
    head = "".join(file.read_text(errors="replace").splitlines(keepends=True)[:8])
    return file.suffix in {".md", ".yml", ".yaml"} and bool(SAYS_SO.search(head))


def main() -> None:
    """Print the files and the sums, of what Git has."""
    root = Path(__file__).parents[1]
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    paths = [path for path in listing.stdout.split("\0") if path and (root / path).exists()]
    found = sorted(amounts(root, paths), key=lambda each: -each.lines)
    rows = [f"{each.lines:6,} lines {each.size:8,} bytes  {each.path}" for each in found]
    lines, size = sum(each.lines for each in found), sum(each.size for each in found)
    whole = sum((root / path).stat().st_size for path in paths)
    rows.append(f"{lines:6,} lines {size:8,} bytes  generated; at most {MOST_LINES:,} lines")
    rows.append(
        f"{len(paths):,} files of {whole:,} bytes, {packed(root, paths):,} packed; at most {MOST_BYTES:,}"
    )
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
