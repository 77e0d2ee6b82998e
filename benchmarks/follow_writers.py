"""What the triggers of two projections cost those who write to their tables."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import psutil
import psycopg

from benchmarks import wares
from benchmarks.command import OTHERS, STATE, collected, ratios, turns
from benchmarks.report import WRITERS, Section
from benchmarks.wares import CHANGES, INSERT, PER_COMMIT, bare, empty
from outboxctl.drills.bench import tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig
from outboxctl.net.urls import check_database_url

LARGE = 65_536  # bytes of a value that documents use
TIMES = 3  # updates of all large rows, in a turn
UNUSED = "UPDATE of an unused column"
SINGLE = {name: CHANGES[name] for name in ("INSERT", "UPDATE")}
CPU = ", PostgreSQL CPU"
HOW = ("with triggers", "bare")
Measure = Callable[[str], Mapping[str, float]]
NOTES = f"""\
- Each table is the root of one projection, and another's followed by `keys`; beside it is the same table
  without triggers. By one session, the one table and the other in turns; the ratio is that of each pair, and
  the first of a pair is the other one each time. No worker runs.
- Plain and partitioned: {PER_COMMIT} rows of some 650 bytes a commit; the partitioned one has
  {wares.PARTITIONS} partitions, and each statement has rows of all. The column that no document uses: the
  same rows.
- Large rows: {LARGE:,} bytes in a column that documents use; all rows are updated in one statement, {TIMES}
  times, of a column that no document uses.
- Single rows: a statement and a commit each, `synchronous_commit` on. CPU: that of the session's own backend,
  with `synchronous_commit` off, since it is not the disk that is measured; added is the difference.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """All kinds in each repetition."""

    def repetition(number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for kind in ("plain", "partitioned"):
            found |= _paired(kind, number, lambda table: _statements(rig, table, args.writes))
        found |= _paired("large", number, lambda table: _large(rig, table, args.large))
        return found | _paired("single", number, lambda table: _single(rig, table, args.single, args.cpu))

    with wares.declared(rig):
        values = collected(rig, args.repeat, repetition)
    about = f"{args.writes:,} rows of each kind, {args.large:,} large ones, {args.single:,} single ones"
    about = f"{about}, {args.repeat} repetitions; {_durability(rig)}."
    return Section(WRITERS, about, _figures(values), NOTES)


def _paired(kind: str, number: int, measure: Measure) -> dict[str, float]:
    """What `measure` finds for a kind's table with triggers and for the bare one, by figure."""
    table = "plain" if kind == "single" else kind
    found: dict[str, float] = {}
    for how, each in turns(zip(HOW, (table, bare(table)), strict=True), number):
        found |= {f"{kind}: {name}, {how}": value for name, value in measure(each).items()}
    return found


def _statements(rig: Rig, table: str, count: int) -> dict[str, float]:
    """Rows a second of each kind of change, PER_COMMIT to a commit."""
    empty(rig, table)
    return {name: PER_COMMIT * _rate(rig, _blocks(change, table, count)) for name, change in CHANGES.items()}


def _blocks(change: str, table: str, count: int) -> list[str]:
    firsts = range(1, count + 1, PER_COMMIT)
    return [change.format(table=table, first=first, last=first + PER_COMMIT - 1) for first in firsts]


def _rate(rig: Rig, statements: Sequence[str]) -> float:
    """Transactions a second, of one statement each."""
    began = perf_counter()
    for statement in statements:
        tables.execute(rig, statement)
    return len(statements) / (perf_counter() - began)


def _large(rig: Rig, table: str, count: int) -> dict[str, float]:
    """Rows a second of an update of large rows, in one statement."""
    empty(rig, table)
    note = f"repeat('x', {LARGE})"
    tables.execute(rig, INSERT.replace("{note}", note).format(table=table, first=1, last=count))
    rig.checkpoint()
    return {UNUSED: count * _rate(rig, [CHANGES[UNUSED].format(table=table, first=1, last=count)] * TIMES)}


def _single(rig: Rig, table: str, count: int, cpu: int) -> dict[str, float]:
    """Rows a second where each is committed by itself, and microseconds of the backend's CPU a row."""
    found: dict[str, float] = {}
    with psycopg.connect(check_database_url(rig.settings.require_database_url()), autocommit=True) as session:
        for on, rows in (("on", count), ("off", cpu)):
            empty(rig, table)
            session.execute(f"SET synchronous_commit = {on}")
            for name, change in SINGLE.items():
                rate, spent = _one_by_one(session, change, table, rows)
                found |= {name: rate} if on == "on" else {f"{name}{CPU}": spent}
    return found


def _one_by_one(session: psycopg.Connection, change: str, table: str, rows: int) -> tuple[float, float]:
    """Rows a second, and microseconds of the backend's CPU a row."""
    backend = psutil.Process(session.info.backend_pid)
    began, before = perf_counter(), sum(backend.cpu_times()[:2])
    for number in range(1, rows + 1):
        session.execute(change.format(table=table, first=number, last=number).encode())
    seconds, spent = perf_counter() - began, sum(backend.cpu_times()[:2]) - before
    return rows / seconds, 1e6 * spent / rows


def _figures(values: Mapping[str, list[float]]) -> list[BenchFigure]:
    """The bare rates, and what each with triggers is against them; of CPU what is added."""
    figures = []
    for name in (each.removesuffix(", bare") for each in values if each.endswith(", bare")):
        one, other = (values[f"{name}, {how}"] for how in HOW)
        if name.endswith(CPU):
            added = [a - b for a, b in zip(one, other, strict=True)]
            figures += [_cpu(f"{name}, bare", other), _cpu(f"{name}, added", added)]
            continue
        figures.append(BenchFigure(f"{name}, bare", "rows/s", other))
        figures.append(BenchFigure(f"{name}, with/bare", "", ratios(one, other), at_least=True, digits=2))
    return [*figures, BenchFigure(OTHERS, "", values[OTHERS], digits=2)]


def _cpu(name: str, values: list[float]) -> BenchFigure:
    return BenchFigure(name, "us/row", values, digits=1)


def _durability(rig: Rig) -> str:
    """What a commit waits for: the server's settings, and the file system of its data."""
    fsync, commit = (_setting(rig, name) for name in ("fsync", "synchronous_commit"))
    mounts = [each for each in psutil.disk_partitions(all=True) if STATE.is_relative_to(each.mountpoint)]
    kind = max(mounts, key=lambda each: len(each.mountpoint)).fstype if mounts else "unknown"
    return f"fsync {fsync}, synchronous_commit {commit}, data on {kind}"


def _setting(rig: Rig, name: str) -> str:
    with rig.database.begin() as connection:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())
