"""Rules for each index that takes documents: it is there, takes writes and keeps them, with enough copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from shlex import quote

from outboxctl.core.projections.fields import Field
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.doctor.model import ERROR, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import apply, index_setting, request
from outboxctl.settings import Settings
from outboxctl.settings.connections import AwsService
from outboxctl.sink.engines import DENSE, Vectors
from outboxctl.sink.index.index_setup import MAPPING, SETTINGS
from outboxctl.sink.index.named import Index, Named, seconds
from outboxctl.sink.inspect.cluster import Copies, IndexHealth

TOMBSTONES = 3_600.0  # seconds: what this project's own indexes have
DEFAULT_TOMBSTONES = 60.0  # the engine's default

EXPLAIN = request("GET", "_cluster/allocation/explain")

INDEX = RuleGroup("indexes and mappings")  # `mapping_rules` adds some


@dataclass(frozen=True)
class ExaminedIndex:
    """What a projection's `index` names, the view's `columns`, and who else has it (`shared`).

    `vectors`: how the engine maps them.
    """

    named: Named
    health: IndexHealth
    projection: Projection
    columns: Sequence[Field]
    shared: list[tuple[str, str]] = field(default_factory=list)
    vectors: Vectors = DENSE

    @property
    def writes_to(self) -> Index | None:
        """Where documents go, None where they are refused."""
        return self.named.writes_to

    @property
    def rebuild(self) -> str:
        """The command that fills a new index."""
        name = self.projection.chosen_by
        return f"outboxctl rebuild{f' --projection {quote(name)}' * bool(name)} --yes"


@INDEX.rule("index-missing", ERROR)
def missing(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Every delivery to it ends in index_unavailable; the worker never creates an index."""
    name = each.named.name
    if not each.named.indexes:
        body = {"aliases": {name: {"is_write_index": True}}, "mappings": MAPPING, "settings": SETTINGS}
        create = request("PUT", f"{name}-000001", body)
        mend = apply(each.projection) if each.projection.name else create
        yield f"There is no index or alias {name}.", mend


@INDEX.rule("index-shared", ERROR)
def shared(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Two projections overwrite and delete each other's documents: their names stand for one index."""
    for other, index in each.shared:
        what = f"The index {index} is that of {each.projection.label} and of {other}."
        yield what, f"{apply(each.projection)}, with an index of its own"


@INDEX.rule("alias-no-write-index", ERROR)
def no_writer(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """The alias takes no writes: every delivery to it ends in index_unavailable."""
    # The server itself refuses an alias with two write indexes.
    name, indexes = each.named.name, each.named.indexes
    if indexes and each.writes_to is None:
        action = {"add": {"index": indexes[-1].name, "alias": name, "is_write_index": True}}
        what = f"The alias {name} of {len(indexes)} indexes has no write index."
        yield what, request("POST", "_aliases", {"actions": [action]})


@INDEX.rule("index-closed", ERROR)
def closed(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Every delivery to it ends in index_unavailable."""
    if (index := each.writes_to) and index.closed:
        yield f"The index {index.name} is closed.", request("POST", f"{index.name}/_open")


@INDEX.rule("index-blocked", ERROR)
def blocked(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Every delivery to it ends in write_blocked or disk_full.

    The block read_only_allow_delete is the engine's own where a disk is full, and comes back until there is
    space, or cluster.routing.allocation.disk.watermark.* (GET _cluster/settings) allows using what there is.
    """
    if (index := each.writes_to) and index.blocks:
        mend = index_setting(index.name, **{f"blocks.{block}": None for block in index.blocks})
        yield f"The index {index.name} is blocked: {', '.join(index.blocks)}.", mend


@INDEX.rule("gc-deletes", WARNING)
def gc_deletes(each: ExaminedIndex, settings: Settings) -> Iterator[Case]:
    """A write held up for longer than that brings a document back, until its delete is sent again.

    A restart of the node or a close of the index ends the memory of deletes sooner. Serverless has no such
    setting.
    """
    index = None if settings.aws_service is AwsService.SERVERLESS else each.writes_to
    kept = seconds(index.setting("gc_deletes")) or DEFAULT_TOMBSTONES if index else TOMBSTONES
    if index and kept < TOMBSTONES:
        what = f"{index.name} forgets deletes after {kept:g} s (index.gc_deletes)."
        yield what, index_setting(index.name, gc_deletes="1h")


@INDEX.rule("refresh-off", WARNING)
def refresh_off(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Searches do not find what was delivered."""
    if (index := each.writes_to) and (seconds(index.setting("refresh_interval")) or 0) < 0:
        what = f"{index.name} is never refreshed (refresh_interval -1)."
        yield what, index_setting(index.name, refresh_interval=None)


@INDEX.rule("translog-async", WARNING)
def translog(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """A crash of the node loses writes that it acknowledged: events are done, their documents gone."""
    if (index := each.writes_to) and index.setting("translog.durability").lower() == "async":
        settings = {"translog.durability": "request"}
        yield f"index.translog.durability of {index.name} is async.", index_setting(index.name, **settings)


@INDEX.rule("ingest-pipeline", WARNING)
def pipeline(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """It can change documents, which `verify` then reports as drift, or drop them.

    The event of a dropped one is done, counted as the no-op `dropped`, and there is no document.
    """
    if (index := each.writes_to) and index.pipelines:
        listed = ", ".join(f"index.{setting} ({name})" for setting, name in index.pipelines.items())
        what = f"Every document written to {index.name} passes an ingest pipeline: {listed}."
        yield what, index_setting(index.name, **dict.fromkeys(index.pipelines))


@INDEX.rule("index-red", ERROR)
def red(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """A shard has no copy that works: its documents can be neither read nor written.

    Events of its documents wait (unavailable); those of other shards are delivered.
    """
    named = each.named
    if named.indexes and each.health.status == "red" and not any(index.closed for index in named.indexes):
        texts = [text for index in named.indexes for text in _red_shards(each, index)]
        mend = f"{EXPLAIN}  # start the node that had it; without one: {each.rebuild}"
        yield "; ".join(texts) or f"{named.name} is red.", mend


@INDEX.rule("copies-too-few", ERROR)
def too_few(each: ExaminedIndex, _: Settings) -> Iterator[Case]:
    """Each write to such a shard waits, and is refused in the end (unavailable)."""
    if index := each.writes_to:
        copies, wanted = _copies(each, index), index.wanted_copies
        few = [n for n, active in copies.active.items() if active < wanted and n not in copies.away]
        if few:
            shards = brief(", ".join(map(str, few)), 60)
            what = f"Shards {shards} of {index.name} have fewer active copies than the {wanted}"
            mend = index_setting(index.name, **{"write.wait_for_active_shards": None})
            yield (
                f"{what} that a write wants (index.write.wait_for_active_shards).",
                f"{mend}  # or start the node that is away",
            )


def _red_shards(each: ExaminedIndex, index: Index) -> Iterator[str]:
    """A sentence where shards of the index have no copy that works, with the cluster's reasons."""
    copies = _copies(each, index)
    if copies.away:
        shards = brief(", ".join(map(str, copies.away)), 60)
        why = "; ".join(f"{number}: {why}" for number, why in copies.away.items() if why)
        text = f"{index.name} is red: shards {shards} of {len(copies.active)} have no copy that works"
        yield f"{text} ({why})" if why else text


def _copies(each: ExaminedIndex, index: Index) -> Copies:
    return each.health.copies.get(index.name, Copies())
