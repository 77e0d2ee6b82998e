"""Follow events with one document each: how many a second are expanded, and when all is right."""

from argparse import Namespace
from itertools import count as counting

from benchmarks import lanes, shop, tables
from benchmarks.command import collected, figures, ratios, turns
from benchmarks.processes import lanes_at, serving
from benchmarks.report import FOLLOW, Section
from benchmarks.rig import Rig, must
from outboxctl.core.schema.names import EVENTS
from outboxctl.sink.index import index_setup

WINDOW = 20.0  # seconds in which all must be expanded
PATIENCE = 60.0  # seconds for all documents: what is not right by then is counted
LAST = f"""
SELECT coalesce(extract(epoch FROM max(processed_at)), 0) FROM {EVENTS}
WHERE follow IS NOT NULL AND status = 'done'
"""
FEW, MANY, ALONE = "expanded, few waiting", "expanded, many waiting", "expanded, the expander alone"
LINEAR, RIGHT, WRITER = "many/few", "right after the writer's end", "its writer"
LATE = "documents not right by then"
UNITS = {LINEAR: "", RIGHT: "s", WRITER: "rows/s", LATE: ""}
IDS = f"SELECT id FROM {shop.SCHEMA}.categories ORDER BY id LIMIT {{}}"
ROUNDS = counting(1)  # each gives the categories another name
NOTES = f"""\
- Categories that are followed by `keys`; each has one product, so one document. Expanded: a change of the
  first ones in one statement, then a worker starts, which finds the keys and delivers the documents; from its
  line "worker started" to the last follow event that is done.
  The expander alone: its transactions, with nothing delivered beside them.
- Right: a worker runs already; a writer in a process of its own changes as many, {shop.PER_COMMIT} rows a
  commit as fast as it goes, and a search is repeated until it finds all new contents. The index is refreshed
  for each search. What is not right after {PATIENCE:g} s is counted, and these are the seconds then.
- Documents are compared with their rows once all are right.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """All in turns, on tables that are filled once."""
    most = max(args.changes, args.waiting)

    def repetition(number: int) -> dict[str, float]:
        found = {ALONE: _alone(rig, args.changes)}
        for name in turns((FEW, MANY), number):
            found[name] = _expanded(rig, args.changes if name == FEW else args.waiting)
        return found | _beside_a_writer(rig, args.changes)

    shop.fill(rig, most, categories=most, parts=0)
    with shop.declared(rig):
        values = collected(rig, args.repeat, repetition)
    values[LINEAR] = ratios(values[MANY], values[FEW])
    about = f"{args.changes:,} (few) and {args.waiting:,} (many) changes of {most:,} rows, one document each"
    return Section(
        FOLLOW,
        f"{about}; {args.repeat} repetitions.",
        figures(values, lambda name: UNITS.get(name, "events/s")),
        NOTES,
    )


def _alone(rig: Rig, count: int) -> float:
    shop.fresh(rig)
    shop.rename(rig, count)
    seconds = lanes.expanded_alone(rig, WINDOW)
    must(not tables.number(rig, shop.WAITING), "not all changes were expanded")
    return count / seconds


def _expanded(rig: Rig, count: int) -> float:
    """Follow events a second of a worker that starts with so many of them."""
    shop.fresh(rig)
    shop.rename(rig, count)
    tables.flush(rig)
    with serving(rig):
        began = lanes_at(rig.folder / "worker.log")
        waited = shop.until(lambda: not tables.number(rig, shop.WAITING), began, WINDOW)
    must(waited < WINDOW, f"not all of {count:,} changes were expanded within {WINDOW:g} s")
    return count / (tables.number(rig, LAST) - began)


def _beside_a_writer(rig: Rig, count: int) -> dict[str, float]:
    """A writer beside a worker: its rate, and the seconds until all documents are right."""
    shop.fresh(rig)
    name, index = f"round {next(ROUNDS)}", shop.index_of(rig)
    statement = f"UPDATE {shop.SCHEMA}.categories SET name = '{name} ' || id WHERE id = ANY (%(ids)s)"

    def right() -> int:
        return index_setup.count(rig.client, index, {"prefix": {"category": f"{name} "}})

    with serving(rig):
        began, ended = shop.updated(rig, statement, IDS.format(count))
        seconds = shop.until(lambda: right() >= count, ended, PATIENCE)
        late = count - right()
    wrong = {id_ for id_ in shop.wrong(rig, index) if id_ <= count}
    must(bool(late) or not wrong, "documents are wrong although they have the new name")
    return {WRITER: count / (ended - began), RIGHT: seconds, LATE: late}
