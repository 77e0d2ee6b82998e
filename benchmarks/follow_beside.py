"""One projection's events beside another's follow events that cannot be expanded, or not delivered."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import sleep, time

from benchmarks import shop, tables
from benchmarks.command import OTHERS, collected
from benchmarks.figure import BenchFigure
from benchmarks.latency import percentile
from benchmarks.processes import serving
from benchmarks.report import BACKLOG, Section
from benchmarks.rig import Rig
from outboxctl.core.schema.names import EVENTS
from outboxctl.sink.index import index_setup

EVERY = 1.0  # seconds between two events
LONGEST = 30.0  # seconds that the last of them is waited for
SHARES = {"p50": 0.5, "p99": 0.99}
NOTE = f"INSERT INTO {shop.SCHEMA}.notes VALUES ({{number}}, 'note')"
NOTES_DONE = f"SELECT count(*) FROM {EVENTS} WHERE entity_type = 'note' AND status = 'done'"
SETTLED = f"""
SELECT CAST(entity_key AS int), extract(epoch FROM processed_at)::float8 FROM {EVENTS}
WHERE entity_type = 'note' AND follow IS NULL AND status = 'done'
"""
NOTES = f"""\
- Projection A has the follow events of as many categories, B one event of its own every {EVERY:g} s, by a
  session of its own; a worker that starts beside them. From COMMIT's return until the engine has acknowledged
  B's document; what has not come {LONGEST:g} s after the last one counts as that late.
- Alone: without A's events. Locked: a session holds ACCESS EXCLUSIVE on the table of products that A's
  `keys` reads. Away: A's index has been deleted, so what is expanded waits for it.
"""


@contextmanager
def _locked(rig: Rig) -> Iterator[None]:
    with rig.database.begin() as connection:
        connection.exec_driver_sql(f"LOCK TABLE {shop.SCHEMA}.products IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def _away(rig: Rig) -> Iterator[None]:
    index_setup.remove(rig.client, shop.index_of(rig))
    yield


CASES: dict[str, Callable[[Rig], AbstractContextManager[None]]] = {
    "alone": lambda _rig: nullcontext(),
    "locked": _locked,
    "away": _away,
}


def run(rig: Rig, args: Namespace) -> Section:
    """Every case in each repetition."""
    notes = max(1, int(args.seconds / EVERY))

    def repetition(_number: int) -> dict[str, float]:
        runs = [latencies(rig, case, args.waiting, notes) for case in CASES]
        return {name: value for found in runs for name, value in found.items()}

    shop.fill(rig, args.waiting, categories=args.waiting, parts=0)
    with shop.declared(rig):
        values = collected(rig, args.repeat, repetition)
    figures = [
        BenchFigure(name, "" if name == OTHERS else "ms", each, digits=2 * (name == OTHERS))
        for name, each in values.items()
    ]
    about = f"{args.waiting:,} follow events of A, {notes} events of B, {args.repeat} repetitions."
    return Section(BACKLOG, about, figures, NOTES)


def latencies(rig: Rig, case: str, waiting: int, notes: int) -> dict[str, float]:
    """Milliseconds of B's events in a case, by figure."""
    tables.execute(rig, f"TRUNCATE {shop.SCHEMA}.notes")
    shop.fresh(rig)
    if case != "alone":
        shop.rename(rig, waiting)
        tables.flush(rig)
    with CASES[case](rig), serving(rig):
        committed = _written(rig, notes)
        shop.until(lambda: tables.number(rig, NOTES_DONE) > notes, time(), LONGEST)
        with rig.database.begin() as connection:
            settled: dict[int, float] = dict(connection.exec_driver_sql(SETTLED).all())
    late = sorted(settled.get(n, at + LONGEST) - at for n, at in committed.items())
    return {f"{case}: {name}": 1_000 * percentile(late, share) for name, share in SHARES.items()}


def _written(rig: Rig, notes: int) -> dict[int, float]:
    """When each note's COMMIT returned; one before them is not waited for longer than it takes."""
    tables.execute(rig, NOTE.format(number=0))
    shop.until(lambda: tables.number(rig, NOTES_DONE), time(), LONGEST)
    committed = dict[int, float]()
    for number in range(1, notes + 1):
        tables.execute(rig, NOTE.format(number=number))
        committed[number] = time()
        sleep(EVERY)
    return committed
