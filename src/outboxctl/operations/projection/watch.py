"""Putting in force what becomes new: schemas that are made, or that are gone."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import NamedTuple

from outboxctl.core.projections import catalog
from outboxctl.domain.clock import monotonic
from outboxctl.domain.errors import OutboxctlError
from outboxctl.domain.printable import counted
from outboxctl.operations.projection import schemas
from outboxctl.operations.projection.apply import Applied, Applying
from outboxctl.operations.projection.declaration import Declaration

LOOK = 3.0  # seconds between two looks for new schemas
LONGEST = 60.0  # seconds until what failed is tried again


class NextTry(NamedTuple):
    """After how many seconds something that failed is tried again, and when that is."""

    pause: float = 0.0
    at: float = 0.0

    def later(self) -> "NextTry":
        """The next one."""
        pause = min(2 * self.pause or LOOK, LONGEST)
        return NextTry(pause, monotonic() + pause)


@dataclass
class SchemaWatch:
    """What has been put in force, by schema; that of a declaration without schemas is empty.

    A look that finds nothing new is one query of the catalog. Each schema is applied by itself: one that does
    not fit is reported, and tried again after a pause that doubles, and keeps no other one waiting.
    """

    applying: Applying
    declared: Sequence[Declaration]
    _known: dict[str, int] = field(default_factory=dict)  # with its oid: it may be made anew
    _failed: dict[str, NextTry] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)  # of each that fails; not said again
    _begun: bool = False

    def run(self, stop: Event) -> Iterator[Applied]:
        """What is done, until `stop` is set."""
        retry = NextTry()
        while not stop.is_set():
            try:
                yield from self._look(stop)
                retry = NextTry()
                self._said.pop("", None)
            except OutboxctlError as error:
                retry = retry.later()
                self._report("", error)
            stop.wait(max(LOOK, retry.pause))

    def _look(self, stop: Event) -> Iterator[Applied]:
        there = self._there()
        self._begin(there)
        due = [name for name, oid in there.items() if self._known.get(name) != oid and self._may(name)]
        if not (due or self._known.keys() - there):
            return
        groups, gone = self.applying.expanded(self.declared)
        for group in groups:
            name = group[0].schema
            if name in due and not stop.is_set():
                yield from self._apply(group)
                if name not in self._failed:
                    self._known[name] = there[name]
        for each in gone:
            yield Applied([], gone=[self.applying.drop(each.name)])
        self._known = {name: oid for name, oid in self._known.items() if name in there}

    def _begin(self, there: Collection[str]) -> None:
        """Say once what is watched."""
        if not self._begun:
            patterns = ", ".join(pattern for each in self.declared for pattern in each.schemas)
            self.applying.report(f"watching {patterns}: {counted(len({*there} - {''}), 'schema')}")
            self._begun = True

    def _there(self) -> dict[str, int]:
        with self.applying.database.begin() as connection:
            all_ = catalog.schemas(connection)
        found = {} if all(each.schemas for each in self.declared) else {"": 0}
        return found | {
            name: all_[name].oid for each in self.declared for name in schemas.matched(each, all_)
        }

    def _may(self, name: str) -> bool:
        return monotonic() >= self._failed.get(name, NextTry()).at

    def _apply(self, group: Sequence[Declaration]) -> Iterator[Applied]:
        """What was done of a schema, if anything."""
        name = group[0].schema
        try:
            done = self.applying.carry_out(group)
        except OutboxctlError as error:
            self._failed[name] = self._failed.get(name, NextTry()).later()
            self._report(name, error)
            return
        self._failed.pop(name, None)
        self._said.pop(name, None)
        yield from [done] if done.audit_id else []

    def _report(self, name: str, error: OutboxctlError) -> None:
        """Once for each schema, and again when it fails for another reason."""
        if self._said.get(name) != str(error):
            self._said[name] = str(error)
            self.applying.report(f"{error}: trying again, once a minute at least")
