"""The lines of a bulk request, and the items of its answer."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any


@dataclass(frozen=True)
class BulkOperation:
    """One action of a bulk request: its verb and what it says of its document, and its very bytes.

    `document` is None for a delete.
    """

    verb: str
    meta: Mapping[str, Any]
    document: bytes | None
    raw: bytes

    @property
    def id(self) -> str:
        """Of its document; empty where the sink is to choose one."""
        return str(self.meta.get("_id", ""))

    def refused(self, status: int, error: Any) -> dict[str, Any]:
        """Its item in the answer where it was not applied."""
        return {self.verb: {"_id": self.id, "status": status, "error": error}}


def parse(body: bytes) -> list[BulkOperation]:
    """Read a bulk request's body; ValueError where it is none."""
    lines = BytesIO(body)  # splits at \n only, as the engine does
    return [_action(line, lines) for line in lines]


def _action(line: bytes, lines: Iterator[bytes]) -> BulkOperation:
    try:
        ((verb, meta),) = json.loads(line).items()
        document = None if verb == "delete" else next(lines, b"")
        return BulkOperation(verb, {**meta}, document and document.rstrip(b"\n"), line + (document or b""))
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"no line of a bulk request: {error}") from None
