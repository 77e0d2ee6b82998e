"""Delivering documents to the indexes that a column of theirs chooses, each to its own.

One request an index: what one of them refuses is told of its documents alone.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from outboxctl.domain.clock import Deadline
from outboxctl.domain.failures import Classification, Noop, Verdict
from outboxctl.sink.delivery.bulk import BulkAction
from outboxctl.sink.delivery.result import Delivery, IndexedSink, Place

NOWHERE = Classification(Verdict.DONE, noop=Noop.DELETE_MISSING, unsent=True)  # a delete of what no index has


class MadeSink(IndexedSink, Protocol):
    """A sink whose index is made where it is not there."""

    def make(self, body: str, projection: str) -> str:
        """Make it by its body; why it cannot be used, or an empty text."""
        ...


@dataclass(frozen=True)
class PartedSink:
    """The sinks of all indexes of a projection.

    `one` returns that of an alias, or of the `pattern` of all; `aliases` are those that are there.
    """

    pattern: str
    one: Callable[[str], MadeSink]
    aliases: Callable[[], Collection[str]]

    def deliver(self, actions: Sequence[BulkAction], *, deadline: Deadline) -> Delivery:
        """As `Sink.deliver`, index by index; an action without an index is nowhere."""
        places: dict[str, list[int]] = {}
        for place, action in enumerate(actions):
            places.setdefault(action.alias, []).append(place)
        found: dict[int, Classification | None] = dict.fromkeys(places.pop("", ()), NOWHERE)
        whole = Delivery([], [], whole=len(places) == 1)
        for alias, own in places.items():
            sent = self.one(alias).deliver([actions[place] for place in own], deadline=deadline)
            found.update(zip(own, sent.findings, strict=True))
            requests = whole.requests + sent.requests
            whole = replace(whole, requests=requests, whole=whole.whole and sent.whole)
        return replace(whole, findings=[found[place] for place in range(len(actions))])

    def holds(self, seconds: float) -> str:
        """As `IndexedSink.holds`, of all that are there."""
        return self.one(self.pattern).holds(seconds)

    def ids(self, place: Place | None, size: int) -> tuple[list[str], Place | None]:
        """As `IndexedSink.ids`, index by index."""
        aliases = place["aliases"] if place else sorted(self.aliases())
        if not aliases:
            return [], None
        found, within = self.one(aliases[0]).ids(place and place["within"], size)
        left = aliases if within else aliases[1:]
        return found, {"aliases": left, "within": within} if left else None
