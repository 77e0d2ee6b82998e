"""Nested documents, read, sent, compared and delivered, against what both ends can do alone."""

from argparse import Namespace
from time import perf_counter

from benchmarks import processes, shop, sink, tables
from benchmarks.command import collected, figures
from benchmarks.processes import BY, ProcessRun
from benchmarks.report import ENDS, Section
from benchmarks.rig import Rig, must
from outboxctl.core.database import driver
from outboxctl.core.documents.source import DocumentSource, PageOptions
from outboxctl.core.projections import in_force
from outboxctl.core.schema.names import EVENTS
from outboxctl.operations.rebuild.source import PAGE_BYTES
from outboxctl.sink.delivery.bulk import RawActions

VIEW = f"COPY (SELECT to_json(v.*)::text FROM {shop.SCHEMA}.documents v) TO STDOUT"
CHANGE = f"UPDATE {shop.SCHEMA}.parts SET revision = revision + 1"
TABLES = f"{EVENTS}, {shop.SCHEMA}.parts, {shop.SCHEMA}.categories"
ONE = ("--projection", shop.NAME)
WARM_UPS = 4
PARTS = ("rebuild", "children updated", "categories renamed")
NOTES = f"""\
- Documents of some 800 bytes with {shop.PARTS} children and a category's name each: a view with a subquery.
- S: their bulk bodies from memory into a fresh index, by 1, 2 or 3 senders, whichever was best. S of
  updates: the same bodies again, over the documents that are there, as those that change are sent. R: one
  process reads the view by COPY, and throws it away.
- Rebuild and verify: whole commands, from exec to exit, with the comparison of all documents. So is CPU.
- Children updated: one statement has changed all of them, and a worker delivers the documents. Categories
  renamed: one statement has renamed half of them, and a worker finds the documents and delivers them. Both
  from the worker's line "worker started" to the start of its last settle.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """All in each repetition; one before does not count, for the engine's code is still being compiled."""
    shop.fill(rig, args.documents)
    with shop.declared(rig):
        bodies = _bodies(rig)
        for _ in range(WARM_UPS):
            sink.rate(rig, bodies, 3, args.documents, shop.MAPPINGS)
        values = collected(rig, args.repeat, lambda _number: _repetition(rig, bodies, args.documents))
    about = f"{args.documents:,} documents with {shop.PARTS} children each, {args.repeat} repetitions."
    return Section(ENDS, about, figures(values, _unit), NOTES)


def _repetition(rig: Rig, bodies: list[bytes], documents: int) -> dict[str, float]:
    s, r = max(sink.limit(rig, bodies, documents, shop.MAPPINGS).values()), documents / _reading(rig)
    bound, updates = 1 / (1 / s + 1 / r), max(_again(rig, bodies, documents))
    found = {
        "S: sink alone": s,
        "S of updates": updates,
        "R: COPY of the view alone": r,
        "bound, 1 / (1/S + 1/R)": bound,
    }
    tables.fresh_index(rig)  # else the engine goes on merging what S has left
    tables.flush(rig)
    for command in ("rebuild", "verify"):
        ran = processes.run(rig, command, *ONE, *(BY if command == "rebuild" else ()))
        found |= _figures(command, ran, documents / ran.wall, documents)
    found |= _delivered(rig, PARTS[1], CHANGE, documents)
    found |= _delivered(
        rig, PARTS[2], shop.LENGTHEN.format(first=1, last=shop.CATEGORIES // 2), documents // 2
    )
    servers = found["verify: PostgreSQL CPU"] + found["verify: Elasticsearch CPU"]
    found |= {"verify/R": found["verify"] / r, "verify: own/servers' CPU": found["verify: own CPU"] / servers}
    return found | {f"{part}/bound": found[part] / bound for part in PARTS}


def _bodies(rig: Rig) -> list[bytes]:
    with rig.database.begin() as connection:
        projection = next(each for each in in_force.declared(connection) if each.name == shop.NAME)
    wanted = PageOptions(sink.REQUEST_SIZE, PAGE_BYTES)
    pages = DocumentSource(projection).pages(rig.database, None, wanted)
    return [RawActions(page.rows).body() or b"" for page in pages]


def _again(rig: Rig, bodies: list[bytes], documents: int) -> list[float]:
    senders = sink.SENDERS
    return [sink.rate(rig, bodies, number, documents, shop.MAPPINGS, fresh=False) for number in senders]


def _reading(rig: Rig) -> float:
    with rig.database.begin() as connection, driver(connection).cursor() as cursor:
        began = perf_counter()
        with cursor.copy(VIEW) as copy:
            for _ in copy:
                pass
        return perf_counter() - began


def _delivered(rig: Rig, part: str, change: str, documents: int) -> dict[str, float]:
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    tables.execute(rig, change)
    tables.vacuum(rig, *TABLES.split(", "))
    rig.checkpoint()
    ran = processes.drain(rig)
    must(not shop.wrong(rig, shop.index_of(rig)), "documents are wrong")
    return _figures(part, ran, processes.drain_rate(rig, documents, ran), documents)


def _figures(part: str, ran: ProcessRun, rate: float, documents: int) -> dict[str, float]:
    spent = {"own": ran.worker, "PostgreSQL": ran.postgres, "Elasticsearch": ran.engine}
    return {part: rate} | {f"{part}: {who} CPU": 1e6 * cpu / documents for who, cpu in spent.items()}


def _unit(name: str) -> str:
    if name.endswith(("/bound", "/R", "/servers' CPU")):
        return ""
    return "us/document" if "CPU" in name else "docs/s"
