"""A pass over documents that have not changed: looked at and not sent, and without `skip_unchanged` sent."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import processes, shop, tables
from benchmarks.command import collected, figures, ratios
from benchmarks.processes import BY, lanes_at, serving
from benchmarks.report import UNCHANGED, Section
from benchmarks.rig import Rig, must
from outboxctl.core.schema.names import EVENTS
from outboxctl.sink.index import index_setup

# One category has all documents behind it, which show the beginning of its name alone.
VIEW = f"""
CREATE VIEW {shop.SCHEMA}.briefs AS SELECT p.id, p.name, left(c.name, 8) AS category
FROM {shop.SCHEMA}.products p JOIN {shop.SCHEMA}.categories c ON c.id = p.category_id
"""
DECLARED = f"""
[projections.{shop.NAME}]
root = "{shop.SCHEMA}.products"
key = "id"
document = "{shop.SCHEMA}.briefs"
index = "{{index}}"
skip_unchanged = {{skip}}
"""
LAST = f"SELECT extract(epoch FROM max(processed_at)) FROM {EVENTS}"
WAITING = f"SELECT count(*) FROM {EVENTS} WHERE status IN ('pending', 'processing')"
SKIPPED, SENT, WRITTEN = "unchanged, looked at", "the same, sent", "unchanged, sent"
RATIO = "looked at/sent"
UNITS = {WRITTEN: "documents", RATIO: ""}
PATIENCE = 600.0  # seconds for a pass
NOTES = """\
- A category that all documents have is changed in a way that none shows, then a worker starts: from its line
  "worker started" to the last event that is done. It finds the documents, and those among
  them that the index does not hold. Sent: the same declaration without `skip_unchanged`.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """Both declarations in turns; each has its documents sent once before."""

    def repetition(_number: int) -> dict[str, float]:
        with _declared(rig, skip="true"):
            rate, written = _passed(rig, args.documents)
        with _declared(rig, skip="false"):
            return {SKIPPED: rate, WRITTEN: written, SENT: _passed(rig, args.documents)[0]}

    shop.fill(rig, args.documents, categories=1, parts=0)
    tables.execute(rig, VIEW)
    values = collected(rig, args.repeat, repetition)
    values[RATIO] = ratios(values[SKIPPED], values[SENT])
    about = f"{args.documents:,} documents, {args.repeat} repetitions."
    shown = figures(values, lambda name: UNITS.get(name, "documents/s"))
    return Section(UNCHANGED, about, shown, NOTES)


@contextmanager
def _declared(rig: Rig, *, skip: str) -> Iterator[None]:
    file = rig.folder / "briefs.toml"
    file.write_text(DECLARED.format(index=shop.index_of(rig), skip=skip))
    processes.run(rig, "projection", "apply", str(file), *BY)
    try:
        processes.drain(rig)
        yield
    finally:
        processes.run(rig, "projection", "drop", shop.NAME, *BY)
        index_setup.remove(rig.client, shop.index_of(rig))


def _passed(rig: Rig, documents: int) -> tuple[float, int]:
    """Documents a second of a pass, and how many were sent."""
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    before = shop.written(rig, shop.index_of(rig))
    must(before >= documents, "not all documents were sent at first")
    shop.rename(rig, 1)
    tables.flush(rig)
    with serving(rig):
        began = lanes_at(rig.folder / "worker.log")
        shop.until(lambda: not tables.number(rig, WAITING), began, PATIENCE)
        ended = tables.number(rig, LAST)
    return documents / (ended - began), shop.written(rig, shop.index_of(rig)) - before
