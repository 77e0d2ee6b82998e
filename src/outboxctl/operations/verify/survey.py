"""A comparison as a report: figures, and the first few differences.

Both sides as they were when they last agreed are kept in a file beside other caches, for a command that only
reads must not write to the database: while neither has changed, they still agree.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from outboxctl.core.database import Database
from outboxctl.core.documents import entities
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Census, Difference, DifferenceKind, VerifyReport
from outboxctl.settings.folders import cache_folder
from outboxctl.sink.index.scan import Reader

Act = Callable[[Iterable[Difference]], object]
MOST_FAILED = 100_000  # failed events that are looked at: their ids are held in memory
KEPT = 100  # agreements in the file, the latest ones


def survey(
    database: Database,
    reader: Reader,
    *,
    content: bool,
    limit: int,
    advance: Callable[[int], object],
    full: bool = False,
    stop: Event | None = None,
    act: Act | None = None,
) -> VerifyReport:
    """Compare (see `compare`), pass every difference that is not in flight to `act`, and report.

    Unless `full`, nothing is read if neither side has changed since they last agreed. Raises UsageError for a
    standby, and at the end InconclusiveError if the reader's alias leads to another index by then.
    """
    with database.begin() as connection:
        entities.require_primary(connection)
    counts = Survey(reader.shape.index, content=content, limit=limit)
    before = take_imprint(database, reader)
    known = recall(before, content=content) if before and not full else None
    if known:
        counts.census = Census(0, known.rows, known.documents)
        return replace(counts.report(), unchanged_since=known.at)
    with database.begin() as connection:
        counts.failed = entities.failed(connection, most=MOST_FAILED)
    differences = compare(database, reader, content=content, census=counts.census, advance=advance, stop=stop)
    (act or deque[Difference](maxlen=0).extend)(counts.count(differences))
    reader.check_unchanged()
    stopped = stop is not None and stop.is_set()
    if before and counts.agrees and not stopped and take_imprint(database, reader) == before:
        remember(before, counts.census, content=content)
    return counts.report()


class Differing(Protocol):
    """What a survey counts."""

    @property
    def id(self) -> str:
        """That of the document."""
        ...

    @property
    def kind(self) -> StrEnum:
        """How it differs."""
        ...

    @property
    def in_flight(self) -> bool:
        """Whether an event may still mend it."""
        ...


D = TypeVar("D", bound=Differing)


class DifferenceTally(Generic[D]):
    """Counts differences by `kinds` as they pass through, and keeps the `first` of them, at most `limit`.

    `failed` are the ids of documents that have a failed event.
    """

    def __init__(self, kinds: type[StrEnum], limit: int, failed: frozenset[str] = frozenset()) -> None:
        self.census = Census()
        self.by_kind: dict[str, int] = dict.fromkeys((kind.value for kind in kinds), 0)
        self.in_flight = self.with_failed_event = 0
        self.failed = failed
        self.first: list[D] = []
        self._limit = limit
        self._began = monotonic()

    def count(self, differences: Iterable[D]) -> Iterator[D]:
        """Count differences, and yield those that are not in flight."""
        for difference in differences:
            if difference.in_flight:
                self.in_flight += 1
                continue
            self.by_kind[difference.kind] += 1
            self.with_failed_event += difference.id in self.failed
            if len(self.first) < self._limit:
                self.first.append(difference)
            yield difference

    @property
    def differences(self) -> int:
        """How many differ so far."""
        return sum(self.by_kind.values())

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return round(monotonic() - self._began, 3)


class Survey(DifferenceTally[Difference]):
    """Counts differences of search_index; `report` may be asked for at any time."""

    def __init__(self, index: str, *, content: bool, limit: int) -> None:
        super().__init__(DifferenceKind, limit)
        self._index, self._content = index, content

    @property
    def agrees(self) -> bool:
        """Whether nothing differed so far, not even what is in flight."""
        return not self.in_flight and not self.differences

    def report(self) -> VerifyReport:
        """The differences so far."""
        return VerifyReport(
            self._index,
            self._content,
            self.census.buckets,
            self.census.rows,
            self.census.documents,
            self.differences,
            dict(self.by_kind),
            self.in_flight,
            self.seconds,
            self.first,
            with_failed_event=self.with_failed_event,
        )


@dataclass(frozen=True)
class Imprint:
    """A short text for each side; any change of the side changes its text."""

    source: str
    index: str


@dataclass(frozen=True)
class Agreement:
    """What was compared, whether by content, when (ISO 8601), and how much it was."""

    imprint: Imprint
    content: bool
    at: str
    rows: int
    documents: int


def take_imprint(database: Database, reader: Reader) -> Imprint | None:
    """Both sides as they are now; None where one of them has no such text."""
    index = reader.imprint()
    if index is None:
        return None
    try:
        with database.begin() as connection:
            return Imprint(entities.table_checksum(connection), index)
    except OutboxctlError:
        return None  # a view, say, has no places of rows


def recall(imprint: Imprint, *, content: bool) -> Agreement | None:
    """The agreement of exactly these two sides; with `content`, one by content."""
    known = (_agreement(one) for one in _read())
    return next((a for a in known if a and a.imprint == imprint and (a.content or not content)), None)


def remember(imprint: Imprint, census: Census, *, content: bool) -> None:
    """Keep that these two agree; does nothing where the folder is not writable."""
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
        kept = json.loads(_path().read_text())
        if isinstance(kept, list):
            return kept
    return []


def _agreement(kept: Any) -> Agreement | None:
    """None for what another version wrote, or for a truncated file."""
    with suppress(TypeError, KeyError):
        return Agreement(**{**kept, "imprint": Imprint(**kept["imprint"])})
    return None


def _path() -> Path:
    return cache_folder() / "verify.json"
