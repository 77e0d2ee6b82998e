"""The lines of a bulk request, and the items of its answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any


@dataclass(frozen=True)
class Action:
    """One action of a bulk request; `document` is None for a delete, `raw` its very bytes."""

    verb: str
    id: str
    version: int
    document: bytes | None
    raw: bytes

    def applied(self, result: str, status: int) -> dict[str, Any]:
        """Its item in the answer where it was applied."""
        return {self.verb: {"_id": self.id, "_version": self.version, "result": result, "status": status}}

    def refused(self, status: int, error: Any) -> dict[str, Any]:
        """Its item in the answer where it was not."""
        return {self.verb: {"_id": self.id, "status": status, "error": error}}


def parse(body: bytes) -> list[Action]:
    """Read a bulk request's body."""
    lines = BytesIO(body)  # splits at \n only, as the engine does
    return [_action(line, lines) for line in lines]


def _action(line: bytes, lines: Iterator[bytes]) -> Action:
    ((verb, meta),) = json.loads(line).items()
    document = None if verb == "delete" else next(lines)
    raw = line + (document or b"")
    return Action(verb, meta["_id"], meta["version"], document and document.rstrip(b"\n"), raw)
