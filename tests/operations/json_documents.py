"""What `--json` prints, held against `docs/contract/names.json`."""

import json
from typing import Any

from tools import contract, json_shapes

from operations.every_command import READING
from processes import Cli

# Open by docs/contract.md, or held by a schema.
OPEN = {"chaos list", "lab show", "services status"}
SCHEMAS = {"report", "status"}
PROJECTION = {"projection list", "projection plan", "projection preview", "projection show"}
# What is asked for beside the commands that read, each by its first words and options.
MORE = {
    *("audit --id", "explain", "explain WORD", "failed list --fingerprint", "verify --repair"),
    *("index rebuilds", "failed discard", "prune", "rebuild", "replay", "failed undo"),
}
PLAIN = {
    f"{path} --dry-run" if "--dry-run" in args else path: (*path.split(), *args)
    for path, args in READING.items()
    if path not in OPEN | SCHEMAS | PROJECTION
}
HOW = """{group}: {problem}
What was promised stays: docs/contract.md, "Deprecation". What is new goes into docs/contract/names.json,
by hand, under "json", "{group}", with its types; then `make docs`."""


def printed(cli: Cli, *args: str) -> Any:
    """The document that a command prints, whatever it found."""
    done = cli(*args, "--json")
    assert done.returncode in (0, 4), done.stderr
    return json.loads(done.stdout)


def hold(group: str, document: Any) -> None:
    """Fail where a document lacks a name that was promised, has it with another type, or has a new one."""
    promised = contract.promised()["json"].get(group, {})
    shape = json_shapes.of_document(document, promised)
    gone = json_shapes.lacking(document, promised)
    assert not gone, HOW.format(group=group, problem=f"gone: {sorted(gone)}")
    new = {path: kind for path, kind in shape.items() if path not in promised}
    assert not new, HOW.format(group=group, problem=f"new: {new}")
    other = {path: kind for path, kind in shape.items() if not _fits(kind, promised[path])}
    assert not other, HOW.format(group=group, problem=f"of another type: {other}")


def _fits(kind: str, promised: str) -> bool:
    """Whether what is printed is of the types that were promised; a number may be a whole one."""
    allowed = set(promised.split("|"))
    return "any" in allowed or set(kind.split("|")) <= allowed | (
        {"integer"} if "number" in allowed else set()
    )
