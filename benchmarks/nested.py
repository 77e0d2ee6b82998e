"""A parent with five children and a looked-up category: outboxctl and pgsync on the same tables, in turns."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from time import time
from typing import NamedTuple

import psutil

from benchmarks import processes, random_writes, shop, tables
from benchmarks.command import collected, figures, ratios, say, turns
from benchmarks.pgsync import SETTINGS, VERSION, Pgsync, PgsyncIndex, runs, spent
from benchmarks.processes import BY
from benchmarks.report import NESTED, Section
from benchmarks.rig import Rig, must
from outboxctl.core.schema.names import EVENTS
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
RATIOS = {"first fill, outboxctl/pgsync": "fill", "updates, outboxctl/pgsync": "updates"}
SECONDS = ("CPU", "lag", "bootstrap", "one document")
WARM_UP = 8_000  # parents
WAITING = f"SELECT count(*) FROM {EVENTS} WHERE status IN ('pending', 'processing')"
PGSYNC = PgsyncIndex("pgsync-nested", NODES, shop.MAPPINGS)
NOTES = f"""\
- Each on tables that are made and filled anew; mapping, shards and refresh of both indexes are the same: none
  while it is filled, then the engine's default. PostgreSQL writes a logical log throughout, which only pgsync
  needs. The other's triggers are gone.
- A fill and updates of {WARM_UP:,} parents beforehand do not count: until then the engine's own code is still
  being compiled.
- First fill: `outboxctl rebuild --projection`, from exec to exit, with its comparison of every document;
  pgsync {VERSION} as a daemon, from exec until the index has counted the last document. Its bootstrap
  (triggers, view, replication slot) is a figure of its own; outboxctl's `projection apply` is not in either.
  "Of one document": the same with a single parent, once, so mostly the start of each.
- Updates: one writer changes each child of the first parents once, in a random order that is the same for
  both, {shop.PER_COMMIT} rows a commit as fast as it goes, beside the running worker or daemon; "its
  writer" is what that reaches with the triggers of each. "Updates" are the rows until a search finds all new
  contents, "lag" is from the writer's end until then. While it lasts the index is refreshed and asked every
  {1_000 * shop.LOOK:.0f} ms, later after each {100 * shop.SHARE:.0f} % more.
- CPU: of `rebuild` and of the worker; of pgsync and its Redis. The servers' is not in it.
- Wrong: documents that are missing, extra or other than the view's row, the order of children left out. A
  script reads the view by SELECT and the index by searches: after the fill, after the updates, and at the end
  of random writes, which are the same for both.
- Random writes: by one session, as fast as it goes, up to {random_writes.CHANGES} changes a transaction. Each
  is a product that is inserted (every other time one that was deleted before), changed, deleted, or deleted
  and inserted again, or a part that is inserted, changed, deleted or moved to another product.
  {random_writes.ROLLED_BACK:.0%} of the transactions are rolled back. At their end no event of outboxctl
  waits; pgsync's line of status says that its queue is empty, and nothing was written for
  {shop.QUIET:g} s. "Lag at the end" is from the writer's end until then, less these {shop.QUIET:g} s.
- Then each of the changes named, on a sixteenth of the parents each, until nothing was written for
  {shop.QUIET:g} s; "since before" are those that were wrong before these and still are.
- outboxctl's documents must be right each time, or the run ends with an error.
- pgsync has {", ".join(f"{name}={value}" for name, value in SETTINGS.items())}; outboxctl its defaults.
"""


class Running(NamedTuple):
    """A tool whose first fill is done: its figures, its processes, and what waits until nothing is due.

    `settle` returns when that was, in seconds since the epoch.
    """

    figures: dict[str, float]
    processes: list[psutil.Process]
    settle: Callable[[], float]


@dataclass(frozen=True)
class Tool:
    """Its name and its index; `filling` so many documents, from its entry on, after which it runs."""

    name: str
    index: str
    filling: Callable[[int], AbstractContextManager[Running]]


def run(rig: Rig, args: Namespace) -> Section:
    """Both in turns, the other way round each time."""
    both = outboxctl(rig), pgsync(rig, args)
    say("warm-up")
    for tool in both:
        _warm_up(rig, tool, min(WARM_UP, args.parents))
    single = {f"{tool.name}: fill of one document": [_single(rig, tool)] for tool in both}

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for tool in turns(both, number):
            found |= measured(rig, tool, args)
        return found

    values = single | collected(rig, args.repeat, repetition)
    for name, what in RATIOS.items():
        values[name] = ratios(values[f"outboxctl: {what}"], values[f"pgsync: {what}"])
    return Section(NESTED, _about(args), figures(values, _unit), NOTES)


def _about(args: Namespace) -> str:
    products = random_writes.writes(args.parents, args.transactions).products
    sizes = f"{args.parents:,} parents with {shop.PARTS} children each, {args.updates:,} updates of children"
    written = f"{args.transactions:,} random transactions on {products:,} parents"
    return f"{sizes}, then {written}; {args.repeat} repetitions in turns; pgsync {VERSION}."


def _warm_up(rig: Rig, tool: Tool, parents: int) -> None:
    shop.fill(rig, parents)
    with tool.filling(parents) as running:
        _updates(rig, tool, running.processes, parents)


def _single(rig: Rig, tool: Tool) -> float:
    shop.fill(rig, 1)
    with tool.filling(1) as running:
        return running.figures[f"{tool.name}: fill"]


def _unit(name: str) -> str:
    if "wrong" in name:
        return "documents"
    if name in RATIOS:
        return ""
    if any(word in name for word in SECONDS):
        return "s"
    return "docs/s" if name.endswith("fill") else "rows/s"


def outboxctl(rig: Rig) -> Tool:
    """A projection, filled by a rebuild; then a worker."""
    return Tool("outboxctl", shop.index_of(rig), lambda _: _rebuilt(rig))


def pgsync(rig: Rig, args: Namespace) -> Tool:
    """Its first sync, then its daemon."""
    tool = Pgsync(rig, args, PGSYNC)

    @contextmanager
    def filling(count: int) -> Iterator[Running]:
        with tool.filled(count) as (found, running):
            yield Running(found, running, tool.settle)

    return Tool("pgsync", PGSYNC.name, filling)


@contextmanager
def _rebuilt(rig: Rig) -> Iterator[Running]:
    with shop.declared(rig):
        filled = processes.run(rig, "rebuild", "--projection", shop.NAME, *BY)
        mapping = request(rig.client, "GET", shop.index_of(rig), "_mapping")
        (there,) = (each["mappings"]["properties"] for each in mapping.values())
        must(there == shop.MAPPINGS["properties"], "the mapping is another one than pgsync's")
        with processes.serving(rig) as worker:
            cpu = {"own": filled.worker, "PostgreSQL": filled.postgres, "Elasticsearch": filled.engine}
            found = {f"outboxctl: fill, {whose} CPU": seconds for whose, seconds in cpu.items()}
            found["outboxctl: fill"] = filled.wall
            yield Running(found, [psutil.Process(worker.pid)], lambda: _settle(rig))


def _settle(rig: Rig) -> float:
    processes.wait_until(
        lambda: not tables.number(rig, WAITING), "the end of all events", shop.LOOK, patience=shop.PATIENCE
    )
    return time()


def measured(rig: Rig, tool: Tool, args: Namespace) -> dict[str, float]:
    """The figures of one tool by their names, on tables that are filled anew."""
    name, updated = tool.name, min(args.updates // shop.PARTS, args.parents)
    shop.fill(rig, args.parents)
    with tool.filling(args.parents) as running:
        found = running.figures | {f"{name}: fill": args.parents / running.figures[f"{name}: fill"]}
        found |= _wrong(rig, tool, "after the fill")
        found |= _updates(rig, tool, running.processes, updated)
        found |= _wrong(rig, tool, "after the updates")
        found |= _random_writes(rig, tool, running, args)
        found |= _wrong_of_cases(rig, tool, args.parents)
        must(all(map(runs, running.processes)), f"{name} has ended")
        return found


def _updates(rig: Rig, tool: Tool, running: list[psutil.Process], parents: int) -> dict[str, float]:
    """The figures of updates of the children of so many parents, beside the processes of the tool."""
    before, rows, name = spent(rig, running), shop.PARTS * parents, tool.name
    began, ended = shop.updated(rig, shop.CHANGE, shop.PART_IDS.format(rows))
    found = shop.found_at(rig, tool.index, parents, ended, shop.UPDATED)
    return {
        f"{name}: updates": rows / (found - began),
        f"{name}: its writer": rows / (ended - began),
        f"{name}: lag": found - ended,
        **{f"{name}: updates, {whose} CPU": s - before[whose] for whose, s in spent(rig, running).items()},
    }


def _random_writes(rig: Rig, tool: Tool, running: Running, args: Namespace) -> dict[str, float]:
    """How long the tool goes on after the writer, and the documents that are wrong then."""
    written = random_writes.writes(args.parents, args.transactions).transactions
    ended: float = shop.elsewhere(random_writes.carry_out, rig.settings.require_database_url(), written)
    lag = max(0.0, running.settle() - ended)
    return {f"{tool.name}: lag at the end": lag} | _wrong(rig, tool, "at the end", each=True)


def _wrong(rig: Rig, tool: Tool, when: str, *, each: bool = False) -> dict[str, float]:
    """How many documents are wrong; with `each` also how many in each way."""
    kinds: dict[str, float] = {kind: len(ids) for kind, ids in shop.differences(rig, tool.index).items()}
    must(tool.name == "pgsync" or not any(kinds.values()), f"documents are wrong {when}: {kinds}")
    what = f"{tool.name}: wrong {when}"
    return {what: sum(kinds.values())} | ({f"{what}, {kind}": n for kind, n in kinds.items()} if each else {})


def _wrong_of_cases(rig: Rig, tool: Tool, parents: int) -> dict[str, float]:
    before, name = shop.wrong(rig, tool.index), tool.name
    shop.change(rig, tool.index, parents)
    end = shop.wrong(rig, tool.index)
    must(name == "pgsync" or not end, f"{len(end)} documents are wrong after single changes")
    after = {id_ % shop.NEW for id_ in end - before}
    shares = {what: shop.share(case, parents) for case, what in enumerate(shop.CASES)}
    by_case = {f"{name}: wrong, {what}": len(after & {*range(a, b + 1)}) for what, (a, b) in shares.items()}
    return {**by_case, f"{name}: wrong since before": len(end & before)}
