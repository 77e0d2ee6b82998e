"""A parent with five children and a looked-up category: outboxctl and pgsync on the same tables, in turns."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psutil

from benchmarks import peers, shop
from benchmarks.command import turns
from benchmarks.peers import Started
from benchmarks.pgsync import SETTINGS, VERSION, Pgsync, PgsyncIndex, runs
from benchmarks.report import NESTED, Section
from benchmarks.rig import Rig, must
from outboxctl.sink.transport.request import request

NODES = {
    "table": "products",
    "schema": shop.SCHEMA,
    "columns": ["id", "name"],
    "children": [
        {
            "table": "categories",
            "schema": shop.SCHEMA,
            "columns": ["name"],
            "label": "category",
            "relationship": {"variant": "scalar", "type": "one_to_one"},
        },
        {
            "table": "parts",
            "schema": shop.SCHEMA,
            "columns": ["id", "sku", "note", "revision"],
            "relationship": {"variant": "object", "type": "one_to_many"},
        },
    ],
}
PGSYNC = PgsyncIndex("pgsync-nested", NODES, shop.MAPPINGS)
NOTES = f"""\
- Each on tables that are made and filled anew; mapping, shards and refresh of both indexes are the same: none
  while it is filled, then the engine's default. PostgreSQL writes a logical log throughout, which only pgsync
  needs. The other's triggers are gone.
- A repetition beforehand does not count: until then the engine's own code is still being compiled.
- First fill: `outboxctl rebuild --projection`, from exec to exit, with its comparison of every document;
  pgsync {VERSION} as a daemon, from exec until the index has counted the last document. Its bootstrap
  (triggers, view, replication slot) is a figure of its own; outboxctl's `projection apply` is not in either.
- Updates: one writer changes each child once, in a random order that is the same for both, {shop.PER_COMMIT}
  rows a commit as fast as it goes, beside the running worker or daemon; "its writer" is what that reaches
  with the triggers of each. "Updates" are the rows until a search finds all new contents, "lag" is from the
  writer's end until then. While the lag lasts the index is refreshed and asked every
  {1_000 * shop.LOOK:.0f} ms, later after each {100 * shop.SHARE:.0f} % more.
- CPU: of `rebuild` and of the worker; of pgsync and its Redis. The servers' is not in it.
- Wrong: documents that are missing, extra or other than the view's row once nothing is written any more, the
  order of children left out: after the fill, after the updates, and after each of the changes named, on a
  sixteenth of the parents each; "since before" are those of the updates that are still wrong after that.
  outboxctl's must be right, or the run ends with an error.
- pgsync has {", ".join(f"{name}={value}" for name, value in SETTINGS.items())}; outboxctl its defaults.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """Both in turns, the other way round each time."""
    pgsync = Pgsync(rig, args, PGSYNC)

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in turns(("outboxctl", "pgsync"), number):
            shop.fill(rig, args.parents)
            own = name == "outboxctl"
            filling = outboxctl(rig) if own else pgsync.filled(args.parents)
            found |= measured(rig, name, shop.index_of(rig) if own else PGSYNC.name, filling, args.parents)
        return found

    about = f"{args.parents:,} parents with {shop.PARTS} children each, {args.repeat} repetitions in turns"
    figures = peers.figures(rig, args.repeat, repetition)
    return Section(NESTED, f"{about}; pgsync {VERSION}.", figures, NOTES)


@contextmanager
def outboxctl(rig: Rig) -> Iterator[Started]:
    """The projection, filled by a rebuild; then a worker."""
    with shop.declared(rig), peers.outboxctl(rig, "--projection", "product") as started:
        mapping = request(rig.client, "GET", shop.index_of(rig), "_mapping")
        (there,) = (each["mappings"]["properties"] for each in mapping.values())
        must(there == shop.MAPPINGS["properties"], "the mapping is another one than pgsync's")
        yield started


def measured(
    rig: Rig, name: str, index: str, filling: AbstractContextManager[Started], parents: int
) -> dict[str, float]:
    """The figures of one tool by their names; it fills the index when `filling` is entered."""
    with filling as (figures, tools):
        found = figures | {f"{name}: fill": parents / figures[f"{name}: fill"]}
        found |= _wrong(rig, name, index, "after the fill")
        found |= _updates(rig, name, index, tools, parents)
        found |= _wrong(rig, name, index, "after the updates")
        found |= _wrong_of_cases(rig, name, index, parents)
        must(all(map(runs, tools)), f"{name} has ended")
        return found


def _wrong_of_cases(rig: Rig, name: str, index: str, parents: int) -> dict[str, float]:
    before = shop.wrong(rig, index)
    shop.change(rig, index, parents)
    end = shop.wrong(rig, index)
    must(name == "pgsync" or not end, f"{len(end)} documents are wrong after single changes")
    after = {id_ % shop.NEW for id_ in end - before}
    shares = {what: shop.share(case, parents) for case, what in enumerate(shop.CASES)}
    by_case = {f"{name}: wrong, {what}": len(after & {*range(a, b + 1)}) for what, (a, b) in shares.items()}
    return {**by_case, f"{name}: wrong since before": len(end & before)}


def _updates(rig: Rig, name: str, index: str, tools: list[psutil.Process], parents: int) -> dict[str, float]:
    children = shop.PARTS * parents
    return peers.updates(
        rig,
        name,
        tools,
        children,
        write=lambda: shop.updated(rig, shop.CHANGE, shop.PART_IDS),
        found_at=lambda ended: shop.found_at(rig, index, parents, ended, shop.UPDATED),
    )


def _wrong(rig: Rig, name: str, index: str, when: str) -> dict[str, float]:
    number = len(shop.wrong(rig, index))
    must(name == "pgsync" or not number, f"{number} documents are wrong {when}")
    return {f"{name}: wrong {when}": number}
