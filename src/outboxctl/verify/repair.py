"""Healing what differs: ordinary events for all that an event can name, and a fenced removal for the rest.

An event heals only if its row's version is not below what the index holds, so where it is, the row's
version is raised to that, in the transaction of the event (see ADR 12).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Event
from uuid import uuid4

from outboxctl.core import repair
from outboxctl.core.audit import record
from outboxctl.core.database import Database
from outboxctl.core.entities import Key
from outboxctl.core.repair import Wanted
from outboxctl.sink.mend import Mender, Seen
from outboxctl.verify.model import Difference, Kind

BATCH = 500  # entities a transaction


@dataclass
class Repaired:
    """What a repair did: events written, rows whose version was raised, documents removed at the sink.

    `left` are those that it did not touch: they changed meanwhile, or their row was held by somebody.
    """

    act_id: str = field(default_factory=lambda: str(uuid4()))
    enqueued: int = 0
    raised: int = 0
    removed: int = 0
    left: int = 0


@dataclass(frozen=True)
class Repair:
    """One repair of one index by one person, in batches."""

    database: Database
    mender: Mender
    by: str
    reason: str
    done: Repaired = field(default_factory=Repaired)

    def run(self, differences: Iterable[Difference], *, stop: Event) -> None:
        """Heal these, none of which is in flight, batch by batch until `stop` is set."""
        rest = iter(differences)
        while not stop.is_set() and (some := list(islice(rest, BATCH))):
            named = [(key, difference) for difference in some if (key := difference.target)]
            foreign = [d for d in some if d.kind is Kind.EXTRA and not d.target]
            self.done.left += len(some)
            if named:
                self._enqueue(named)
            if foreign:
                self._remove(foreign)

    def undelivered(self) -> int:
        """How many of its events are still under way."""
        with self.database.begin() as connection:
            return repair.undelivered(connection, self.done.act_id)

    def _enqueue(self, named: Sequence[tuple[Key, Difference]]) -> None:
        missing = [d.id for _, d in named if d.kind is Kind.MISSING]
        held = self.mender.versions_left(missing)
        wanted = [(d, Wanted(key, _winning(d, held))) for key, d in named]
        with self.database.begin() as connection:
            written = repair.enqueue(
                connection,
                upserts=[w for d, w in wanted if d.kind is not Kind.EXTRA],
                raises=[w for d, w in wanted if d.kind is not Kind.EXTRA and _is_below(d, w.version)],
                deletes=[w for d, w in wanted if d.kind is Kind.EXTRA],
                by=self.by,
                reason=self.reason,
                act_id=self.done.act_id,
                filters={"index": self.mender.index, **Counter(d.kind.value for _, d in named)},
            )
        self.done.enqueued += len(written.ids)
        self.done.raised += len(written.raised)
        self.done.left -= len(written.ids)

    def _remove(self, foreign: Sequence[Difference]) -> None:
        """Delete what no event can name. The audit row, after the sink's word, holds what is gone."""
        seen = [Seen(d.id, d.seq_no or 0, d.primary_term or 0) for d in foreign]
        with self.database.begin() as connection:
            gone = self.mender.remove(seen)
            if gone:
                told = [id_.replace("\x00", "\\x00") for id_ in gone]  # jsonb takes no NUL
                record(
                    connection,
                    "repair",
                    by=self.by,
                    reason=self.reason,
                    filters={"index": self.mender.index, "removed": told},
                    ids=[],
                    affected=len(gone),
                    act_id=self.done.act_id,
                )
        self.done.removed += len(gone)
        self.done.left -= len(gone)


def _winning(difference: Difference, held: dict[str, int]) -> int:
    """The version that wins: `external_gte` lets the very version of what is there overwrite it."""
    return max(0, difference.index_version or held.get(difference.id, 0))


def _is_below(difference: Difference, version: int) -> bool:
    return difference.source_version is None or difference.source_version < version
