"""Rules for the index behind ELASTIC_INDEX: that it is there, takes writes, keeps them and stays correct."""

from collections.abc import Iterator

from outboxctl.operations.doctor.disk_words import DISK_BLOCK, comes_back, disk_words
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import index_setting, request
from outboxctl.settings import Settings
from outboxctl.sink.index.index_setup import MAPPING, SETTINGS
from outboxctl.sink.inspect.indices import Named

TOMBSTONES = 3_600.0  # seconds: what this project's own indexes have
OFTEN = 1.0  # seconds between refreshes

INDEX = RuleGroup("index and mapping")  # `copy_rules` and `mapping_rules` add some


@INDEX.rule("index-missing", ERROR)
def missing(named: Named, _: Settings) -> Iterator[Case]:
    """Every delivery of search_index ends in index_unavailable; the worker never creates an index."""
    if not named.indexes and named.needed:
        alias = {named.name: {"is_write_index": True}}
        body = {"aliases": alias, "mappings": MAPPING, "settings": SETTINGS}
        yield f"There is no index or alias {named.name}.", request("PUT", f"{named.name}-000001", body)


@INDEX.rule("alias-no-write-index", ERROR)
def no_writer(named: Named, _: Settings) -> Iterator[Case]:
    """The alias takes no writes: every delivery of search_index ends in index_unavailable."""
    # The server itself refuses an alias with two write indexes.
    if named.indexes and named.writes_to is None:
        newest = named.indexes[-1].name
        action = {"add": {"index": newest, "alias": named.name, "is_write_index": True}}
        what = f"The alias {named.name} of {len(named.indexes)} indexes has no write index."
        yield what, request("POST", "_aliases", {"actions": [action]})


@INDEX.rule("not-an-alias", INFO)
def concrete(named: Named, _: Settings) -> Iterator[Case]:
    """Only an alias can be moved to a rebuilt index in one step, with no time without documents."""
    if named.indexes and not named.alias:
        action = {"add": {"index": named.name, "alias": f"{named.name}-alias", "is_write_index": True}}
        mend = request("POST", "_aliases", {"actions": [action]})
        what = f"{named.name} is an index, not an alias."
        yield what, f"{mend}  # then ELASTIC_INDEX={named.name}-alias"


@INDEX.rule("index-closed", ERROR)
def closed(named: Named, _: Settings) -> Iterator[Case]:
    """Every delivery of search_index ends in index_unavailable."""
    if (index := named.writes_to) and index.closed:
        yield f"The index {index.name} is closed.", request("POST", f"{index.name}/_open")


@INDEX.rule("index-blocked", ERROR)
def blocked(named: Named, _: Settings) -> Iterator[Case]:
    """Every delivery of search_index ends in write_blocked or disk_full."""
    if (index := named.writes_to) and index.blocks:
        what = f"The index {index.name} is blocked: {', '.join(index.blocks)}."
        mend = index_setting(index.name, **{f"blocks.{block}": None for block in index.blocks})
        if DISK_BLOCK in index.blocks:
            what = f"{what} {disk_words(named.cluster)}"
            mend += "  # once there is space: until then the block comes back" * comes_back(named.cluster)
        yield what, mend


@INDEX.rule("gc-deletes", WARNING)
def gc_deletes(named: Named, _: Settings) -> Iterator[Case]:
    """A write held up for longer than that brings a document back, until its delete is sent again.

    A restart of the node or a close of the index ends the memory of deletes sooner.
    """
    if (index := named.writes_to) and index.gc_deletes < TOMBSTONES:
        what = f"{index.name} forgets deletes after {index.gc_deletes:g} s (index.gc_deletes)."
        yield what, index_setting(index.name, gc_deletes="1h")


@INDEX.rule("refresh-off", WARNING)
def refresh_off(named: Named, _: Settings) -> Iterator[Case]:
    """Searches do not find what was delivered."""
    if (index := named.writes_to) and index.refresh is not None and index.refresh < 0:
        what = f"{index.name} is never refreshed (refresh_interval -1)."
        yield what, index_setting(index.name, refresh_interval=None)


@INDEX.rule("refresh-too-often", WARNING)
def refresh_too_often(named: Named, _: Settings) -> Iterator[Case]:
    """Each refresh makes a segment: deliveries get slower, merges busier."""
    if (index := named.writes_to) and index.refresh is not None and 0 <= index.refresh < OFTEN:
        what = f"{index.name} is refreshed every {index.refresh * 1000:g} ms."
        yield what, index_setting(index.name, refresh_interval=None)


@INDEX.rule("translog-async", WARNING)
def translog(named: Named, _: Settings) -> Iterator[Case]:
    """A crash of the node loses writes that it acknowledged: events are done, their documents gone."""
    if (index := named.writes_to) and index.durability == "async":
        settings = {"translog.durability": "request"}
        yield f"index.translog.durability of {index.name} is async.", index_setting(index.name, **settings)


@INDEX.rule("ingest-pipeline", WARNING)
def pipeline(named: Named, _: Settings) -> Iterator[Case]:
    """It can change documents, which `verify` then reports as drift, or drop them.

    The event of a dropped one is done, counted as the no-op `dropped`, and there is no document.
    """
    if (index := named.writes_to) and index.pipelines:
        listed = ", ".join(f"index.{setting} ({name})" for setting, name in index.pipelines.items())
        what = f"Every document written to {index.name} passes an ingest pipeline: {listed}."
        yield what, index_setting(index.name, **dict.fromkeys(index.pipelines))
