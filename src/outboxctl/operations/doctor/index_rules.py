"""Rules for the index behind ELASTIC_INDEX: that it is there, takes writes, keeps them and stays correct."""

from collections.abc import Iterator

from outboxctl.operations.doctor.model import FindingSeverity, Said, rule
from outboxctl.operations.doctor.remedies import index_setting, request
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import MAPPING, SETTINGS
from outboxctl.sink.inspect.indices import Named

TOMBSTONES = 3_600.0  # seconds: what this project's own indexes have
OFTEN = 1.0  # seconds between refreshes


@rule(
    "index-missing",
    FindingSeverity.ERROR,
    "Every delivery ends in index_unavailable; the worker never creates an index.",
)
def missing(named: Named, _: Settings) -> Iterator[Said]:
    """Nothing of that name."""
    if not named.indexes:
        alias = {named.name: {"is_write_index": True}}
        body = {"aliases": alias, "mappings": MAPPING, "settings": SETTINGS}
        yield f"There is no index or alias {named.name}.", request("PUT", f"{named.name}-000001", body)


@rule(
    "alias-no-write-index",
    FindingSeverity.ERROR,
    "The alias takes no writes: every delivery ends in index_unavailable.",
)
def no_writer(named: Named, _: Settings) -> Iterator[Said]:
    """Several indexes, none of them to write to (the server itself refuses two)."""
    if named.indexes and named.writes_to is None:
        newest = named.indexes[-1].name
        action = {"add": {"index": newest, "alias": named.name, "is_write_index": True}}
        what = f"The alias {named.name} of {len(named.indexes)} indexes has no write index."
        yield what, request("POST", "_aliases", {"actions": [action]})


@rule(
    "not-an-alias",
    FindingSeverity.INFO,
    "Only an alias can be moved to a rebuilt index in one step, with no time without documents.",
)
def concrete(named: Named, _: Settings) -> Iterator[Said]:
    """A concrete index."""
    if named.indexes and not named.alias:
        action = {"add": {"index": named.name, "alias": f"{named.name}-alias", "is_write_index": True}}
        mend = (
            request("POST", "_aliases", {"actions": [action]}) + f"  # then ELASTIC_INDEX={named.name}-alias"
        )
        yield f"{named.name} is an index, not an alias.", mend


@rule("index-closed", FindingSeverity.ERROR, "Every delivery ends in index_unavailable.")
def closed(named: Named, _: Settings) -> Iterator[Said]:
    """Closed for good or for a change of its settings."""
    index = named.writes_to
    if index and index.closed:
        yield f"The index {index.name} is closed.", request("POST", f"{index.name}/_open")


@rule("index-blocked", FindingSeverity.ERROR, "Every delivery ends in write_blocked or disk_full.")
def blocked(named: Named, _: Settings) -> Iterator[Said]:
    """Made read-only by a person, or by the flood stage of its disk."""
    index = named.writes_to
    if index and index.blocks:
        settings = {f"blocks.{block}": None for block in index.blocks}
        yield (
            f"The index {index.name} is blocked: {', '.join(index.blocks)}.",
            index_setting(index.name, **settings),
        )


@rule(
    "index-red",
    FindingSeverity.ERROR,
    "A shard has no copy that works: its documents can be neither read nor written.",
)
def red(named: Named, _: Settings) -> Iterator[Said]:
    """A primary shard is missing."""
    if named.indexes and named.health == "red" and not any(index.closed for index in named.indexes):
        yield f"{named.name} is red.", request("GET", "_cluster/allocation/explain")


@rule(
    "replicas-unassigned",
    FindingSeverity.WARNING,
    "The index stays yellow, and a real loss of a copy goes unnoticed.",
)
def unassigned(named: Named, _: Settings) -> Iterator[Said]:
    """Replicas that have no node to go to."""
    if named.health == "yellow":
        for index in named.indexes:
            if index.replicas:
                alone = named.data_nodes == 1
                fewer = index_setting(index.name, number_of_replicas=0)
                mend = fewer if alone else request("GET", "_cluster/allocation/explain")
                where = "the only data node" if alone else f"{named.data_nodes} data nodes"
                yield f"{index.name} wants {index.replicas} replicas on {where}; not all are assigned.", mend


@rule(
    "no-replica",
    FindingSeverity.WARNING,
    "With the one node that holds it the index is gone until it is rebuilt.",
)
def no_replica(named: Named, _: Settings) -> Iterator[Said]:
    """One copy where there could be two."""
    index = named.writes_to
    if index and not index.replicas and named.data_nodes > 1:
        what = f"{index.name} has no replica in a cluster of {named.data_nodes} data nodes."
        yield what, index_setting(index.name, number_of_replicas=1)


@rule(
    "gc-deletes",
    FindingSeverity.WARNING,
    "A write held up for longer than that finds no trace of a later delete, and the document comes back. "
    "A restart of the node or a close of the index ends the memory of deletes sooner.",
)
def gc_deletes(named: Named, _: Settings) -> Iterator[Said]:
    """Tombstones that go before the last late write can have come."""
    index = named.writes_to
    if index and index.gc_deletes < TOMBSTONES:
        what = f"{index.name} forgets deletes after {index.gc_deletes:g} s (index.gc_deletes)."
        yield what, index_setting(index.name, gc_deletes="1h")


@rule("refresh-off", FindingSeverity.WARNING, "Searches do not find what was delivered.")
def refresh_off(named: Named, _: Settings) -> Iterator[Said]:
    """Left behind by a bulk load."""
    index = named.writes_to
    if index and index.refresh is not None and index.refresh < 0:
        yield (
            f"{index.name} is never refreshed (refresh_interval -1).",
            index_setting(index.name, refresh_interval=None),
        )


@rule(
    "refresh-too-often",
    FindingSeverity.WARNING,
    "Each refresh makes a segment: deliveries get slower, merges busier.",
)
def refresh_too_often(named: Named, _: Settings) -> Iterator[Said]:
    """More than one refresh a second."""
    index = named.writes_to
    if index and index.refresh is not None and 0 <= index.refresh < OFTEN:
        what = f"{index.name} is refreshed every {index.refresh * 1000:g} ms."
        yield what, index_setting(index.name, refresh_interval=None)


@rule(
    "translog-async",
    FindingSeverity.WARNING,
    "A crash of the node loses writes that it acknowledged: events are done, their documents gone.",
)
def translog(named: Named, _: Settings) -> Iterator[Said]:
    """Answers before the translog is on disk."""
    index = named.writes_to
    if index and index.durability == "async":
        settings = {"translog.durability": "request"}
        yield f"index.translog.durability of {index.name} is async.", index_setting(index.name, **settings)


@rule(
    "ingest-pipeline",
    FindingSeverity.WARNING,
    "It can change documents, which `verify` then reports as drift, or drop them: the event is done, "
    "counted as the no-op `dropped`, and there is no document.",
)
def pipeline(named: Named, _: Settings) -> Iterator[Said]:
    """Ingest pipelines that the index's settings name."""
    index = named.writes_to
    if index and index.pipelines:
        listed = ", ".join(f"index.{setting} ({name})" for setting, name in index.pipelines.items())
        what = f"Every document written to {index.name} passes an ingest pipeline: {listed}."
        yield what, index_setting(index.name, **dict.fromkeys(index.pipelines))


INDEX_RULES = (
    missing,
    no_writer,
    concrete,
    closed,
    blocked,
    red,
    unassigned,
    no_replica,
    gc_deletes,
    refresh_off,
    refresh_too_often,
    translog,
    pipeline,
)
