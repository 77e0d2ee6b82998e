"""Putting in force what becomes new: schemas that are made, or that are gone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from outboxctl.core.projections import catalog
from outboxctl.domain.backoff import Pauses
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.operations.projection import schemas
from outboxctl.operations.projection.apply import Applied, Applying
from outboxctl.operations.projection.declaration import Declaration

LOOK = 3.0  # seconds between two looks for new schemas
LONGEST = 60.0  # seconds until what failed is tried again


@dataclass
class LastFailure:
    """Why something failed, and when it is tried again."""

    why: str = ""
    pauses: Pauses = field(default_factory=partial(Pauses, LOOK, LONGEST))


@dataclass
class SchemaWatch:
    """What has been put in force, by schema; that of a declaration without schemas is empty.

    A look that finds nothing new is one query of the catalog. Each schema is applied by itself: one that does
    not fit is reported, once for each reason, and keeps no other one waiting.
    """

    applying: Applying
    declared: Sequence[Declaration]
    _known: dict[str, int] = field(default_factory=dict)  # with its oid: it may be made anew
    _failed: dict[object, LastFailure] = field(default_factory=dict)  # by schema; of a look by None

    def run(self, stop: Event) -> Iterator[Applied]:
        """What is done, until `stop` is set."""
        patterns = ", ".join(pattern for each in self.declared for pattern in each.schemas)
        self.applying.report(f"watching {patterns}")
        while not stop.is_set():
            yield from self._tried(None, partial(self._look, stop))
            stop.wait(LOOK)

    def _tried(self, what: object, act: Callable[[], Iterator[Applied]]) -> Iterator[Applied]:
        if not self._is_due(what):
            return
        try:
            yield from act()
        except OutboxctlError as error:
            failed = self._failed.setdefault(what, LastFailure())
            failed.pauses.failed(monotonic())
            if str(error) != failed.why:
                failed.why = str(error)
                self.applying.report(f"{error}: trying again, once a minute at least")
        else:
            self._failed.pop(what, None)

    def _look(self, stop: Event) -> Iterator[Applied]:
        there = self._there()
        new = {name for name, oid in there.items() if self._known.get(name) != oid}
        if not (any(self._is_due(name) for name in new) or self._known.keys() - there):
            return
        groups, gone = self.applying.expanded(self.declared)
        for group in groups:
            name = group[0].schema
            if name in new and not stop.is_set():
                yield from self._tried(name, partial(self._apply, group, there[name]))
        for each in gone:
            yield Applied([], gone=[self.applying.drop(each.name)])
        self._known = {name: oid for name, oid in self._known.items() if name in there}

    def _there(self) -> dict[str, int]:
        with self.applying.database.begin() as connection:
            all_ = catalog.schemas(connection)
        found = {} if all(each.schemas for each in self.declared) else {"": 0}
        return found | {
            name: all_[name].oid for each in self.declared for name in schemas.matched(each, all_)
        }

    def _is_due(self, what: object) -> bool:
        return what not in self._failed or self._failed[what].pauses.due(monotonic())

    def _apply(self, group: Sequence[Declaration], oid: int) -> Iterator[Applied]:
        """What was done of a schema, if anything."""
        done = self.applying.carry_out(group)
        self._known[group[0].schema] = oid
        if done.audit_id:
            yield done
