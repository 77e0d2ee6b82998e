"""Both sides as they were when they last agreed: if neither has changed since, they still do.

Kept in a file beside other caches: a command that only reads must not write to the database.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outboxctl.core.database import Database
from outboxctl.core.documents import entities
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations.verify.model import Census
from outboxctl.settings.folders import cache_folder
from outboxctl.sink.index.scan import Reader

KEPT = 100  # comparisons, the latest ones


@dataclass(frozen=True)
class Imprint:
    """Each side as a short text that any change of it changes."""

    source: str
    index: str


@dataclass(frozen=True)
class Agreement:
    """What was compared, when (ISO 8601), whether by content, and how much it was."""

    imprint: Imprint
    content: bool
    at: str
    rows: int
    documents: int


def take(database: Database, reader: Reader) -> Imprint | None:
    """Both sides as they are now; None where one of them cannot be told so."""
    index = reader.imprint()
    if index is None:
        return None
    try:
        with database.begin() as connection:
            return Imprint(entities.table_checksum(connection), index)
    except OutboxctlError:
        return None  # a view, say, has no places of rows


def recall(imprint: Imprint, *, content: bool) -> Agreement | None:
    """The agreement of exactly these two, by content if that is asked for."""
    known = (_agreement(one) for one in _read())
    return next((a for a in known if a and a.imprint == imprint and (a.content or not content)), None)


def remember(imprint: Imprint, census: Census, *, content: bool) -> None:
    """Keep that these two agree; a folder that cannot be written to remembers nothing."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    new = asdict(Agreement(imprint, content, at, census.rows, census.documents))
    with suppress(OSError):
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps([new, *_read()[: KEPT - 1]]))
        beside.replace(path)


def _read() -> list[Any]:
    with suppress(OSError, ValueError):
        found = json.loads(_path().read_text())
        if isinstance(found, list):
            return found
    return []


def _agreement(kept: Any) -> Agreement | None:
    """What another version wrote, or a cut file, is no agreement."""
    with suppress(TypeError, KeyError):
        return Agreement(**{**kept, "imprint": Imprint(**kept["imprint"])})
    return None


def _path() -> Path:
    return cache_folder() / "verify.json"
