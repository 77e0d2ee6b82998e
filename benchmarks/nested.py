"""A parent with five children and a looked-up category: outboxctl and pgsync on the same tables, in turns."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psutil

from benchmarks import processes, shop
from benchmarks.command import collected, figures, ratios, say, turns
from benchmarks.pgsync import SETTINGS, VERSION, Pgsync, PgsyncIndex, runs, spent
from benchmarks.processes import BY
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
RATIOS = {"first fill, outboxctl/pgsync": "fill", "updates, outboxctl/pgsync": "updates"}
SECONDS = ("CPU", "lag", "bootstrap")
Started = tuple[dict[str, float], list[psutil.Process]]  # figures of the first fill, and who goes on
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

    say("warm-up: a repetition that does not count")
    repetition(0)
    values = collected(rig, args.repeat, repetition)
    for name, what in RATIOS.items():
        values[name] = ratios(values[f"outboxctl: {what}"], values[f"pgsync: {what}"])
    about = f"{args.parents:,} parents with {shop.PARTS} children each, {args.repeat} repetitions in turns"
    return Section(NESTED, f"{about}; pgsync {VERSION}.", figures(values, _unit), NOTES)


def _unit(name: str) -> str:
    if "wrong" in name or name in RATIOS:
        return ""
    if any(word in name for word in SECONDS):
        return "s"
    return "docs/s" if name.endswith("fill") else "rows/s"


@contextmanager
def outboxctl(rig: Rig) -> Iterator[Started]:
    """The projection, filled by a rebuild; then a worker."""
    with shop.declared(rig):
        filled = processes.run(rig, "rebuild", "--projection", shop.NAME, *BY)
        mapping = request(rig.client, "GET", shop.index_of(rig), "_mapping")
        (there,) = (each["mappings"]["properties"] for each in mapping.values())
        must(there == shop.MAPPINGS["properties"], "the mapping is another one than pgsync's")
        with processes.serving(rig) as worker:
            cpu = {"own": filled.worker, "PostgreSQL": filled.postgres, "Elasticsearch": filled.engine}
            found = {f"outboxctl: fill, {whose} CPU": seconds for whose, seconds in cpu.items()}
            yield found | {"outboxctl: fill": filled.wall}, [psutil.Process(worker.pid)]


def measured(
    rig: Rig, name: str, index: str, filling: AbstractContextManager[Started], parents: int
) -> dict[str, float]:
    """The figures of one tool by their names; it fills the index when `filling` is entered."""
    with filling as (filled, tools):
        found = filled | {f"{name}: fill": parents / filled[f"{name}: fill"]}
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
    """The figures of the updates, beside the processes of the tool."""
    before, rows = spent(rig, tools), shop.PARTS * parents
    began, ended = shop.updated(rig, shop.CHANGE, shop.PART_IDS)
    found = shop.found_at(rig, index, parents, ended, shop.UPDATED)
    return {
        f"{name}: updates": rows / (found - began),
        f"{name}: its writer": rows / (ended - began),
        f"{name}: lag": found - ended,
        **{f"{name}: updates, {whose} CPU": s - before[whose] for whose, s in spent(rig, tools).items()},
    }


def _wrong(rig: Rig, name: str, index: str, when: str) -> dict[str, float]:
    number = len(shop.wrong(rig, index))
    must(name == "pgsync" or not number, f"{number} documents are wrong {when}")
    return {f"{name}: wrong {when}": number}
