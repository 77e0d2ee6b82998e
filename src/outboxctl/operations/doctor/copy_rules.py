"""Rules for the copies of an index's shards: one that works, enough for writes, and one to spare."""

from collections.abc import Iterator

from outboxctl.domain.printable import brief
from outboxctl.operations.doctor.index_rules import INDEX, ExaminedIndex
from outboxctl.operations.doctor.model import ERROR, Case
from outboxctl.operations.doctor.remedies import index_setting, request
from outboxctl.settings import Settings
from outboxctl.sink.inspect.copies import Copies
from outboxctl.sink.inspect.indices import IndexFacts, Named

EXPLAIN = request("GET", "_cluster/allocation/explain")

__all__ = ["INDEX"]


@INDEX.rule("index-red", ERROR)
def red(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """A shard has no copy that works: its documents can be neither read nor written.

    Events of its documents wait (unavailable); those of other shards are delivered.
    """
    named = each.named
    if named.indexes and named.health == "red" and not any(index.closed for index in named.indexes):
        texts = [text for index in named.indexes for text in _red_shards(named, index)]
        mend = f"{EXPLAIN}  # start the node that had it; without one: {each.rebuild}"
        yield "; ".join(texts) or f"{named.name} is red.", mend


@INDEX.rule("copies-too-few", ERROR)
def too_few(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Each write to such a shard waits, and is refused in the end (unavailable)."""
    if index := each.writes_to:
        copies, wanted = _copies(each.named, index), index.wanted_copies
        few = [n for n, active in copies.active.items() if active < wanted and n not in copies.away]
        if few:
            shards = brief(", ".join(map(str, few)), 60)
            what = f"Shards {shards} of {index.name} have fewer active copies than the {wanted}"
            mend = index_setting(index.name, **{"write.wait_for_active_shards": None})
            yield (
                f"{what} that a write wants (index.write.wait_for_active_shards).",
                f"{mend}  # or start the node that is away",
            )


def _red_shards(named: Named, index: IndexFacts) -> Iterator[str]:
    """A sentence where shards of the index have no copy that works, with the cluster's reasons."""
    copies = _copies(named, index)
    if copies.away:
        shards = brief(", ".join(map(str, copies.away)), 60)
        why = "; ".join(f"{number}: {why}" for number, why in copies.away.items() if why)
        text = f"{index.name} is red: shards {shards} of {copies.total} have no copy that works"
        yield f"{text} ({why})" if why else text


def _copies(named: Named, index: IndexFacts) -> Copies:
    return named.copies.get(index.name, Copies())
