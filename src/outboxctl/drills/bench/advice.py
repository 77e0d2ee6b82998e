"""Advice from the figures: which of worker, database and sink is the limit, and what to change first."""

from collections.abc import Iterator
from math import ceil
from statistics import median

from outboxctl.drills.bench.measured import Measured

AT_THE_BOUND = 0.85
ABOVE = 1.1
SCATTER = 0.3  # of the median, between the lowest and the highest E
BUSY = 0.25  # cores
STARTING = 0.1  # of the seconds that E took
MOST_WORKERS = 16


def advise(measured: Measured) -> list[str]:
    """Sentences, doubts first; none before a repetition is complete."""
    return list(_sentences(measured)) if measured.e else []


def _sentences(m: Measured) -> Iterator[str]:
    s, p = median(m.sink), median(each.rate for each in m.p)
    ratio, slower = median(m.ratio), "the database" if p < s else "the sink"
    yield from _doubts(m)
    yield f"The sink takes {s:,.0f}/s, the database {p:,.0f}/s; the worker reaches {ratio:.2f} of the bound."
    if m.shared and ratio > ABOVE:
        yield "That is more than three who share all cores can: some cores were free, or are elsewhere."
    else:
        yield _next(m, ratio, slower)


def _next(m: Measured, ratio: float, slower: str) -> str:
    if ratio < AT_THE_BOUND:
        return _room(m, ratio)
    if m.shared:
        return (
            f"Worker, database and sink share these cores: {slower} costs the most, and more lanes or "
            "workers will not help before one of them gets a machine of its own."
        )
    return f"The limit is {slower}: more lanes or workers will not help before it gets faster."


def _room(m: Measured, ratio: float) -> str:
    workers = min(MOST_WORKERS, ceil(1 / ratio))
    more = f"start {workers} workers: both ends have room" if workers > 1 else "the worker is the limit"
    if m.options.searching:
        return f"The worker is the limit: {more}."
    (cell,) = m.options.cells
    lanes = sorted({cell.concurrency, min(64, cell.concurrency + 1), min(64, 2 * cell.concurrency)})
    sizes = sorted({cell.bulk_size, min(10_000, 2 * cell.bulk_size)})
    flags = f"--concurrency {','.join(map(str, lanes))} --bulk-size {','.join(map(str, sizes))}"
    return f"The worker is the limit: look for a better setting with {flags}; then {more}."


def _doubts(m: Measured) -> Iterator[str]:
    """Reasons why another run may show other figures."""
    rates = [each.rate for each in m.e]
    spread = (max(rates) - min(rates)) / median(rates)
    if spread > SCATTER:
        yield f"E scatters by {spread:.0%} of its median: run it again, in quiet or with more --events."
    if (share := median(m.starting)) > STARTING:
        yield f"{share:.0%} of E's time is the worker's start: more --events show its pace, and a higher E."
    if any(median(m.cpu(whose)) <= 0 for whose in ("worker", *m.known)):
        yield "CPU below 0 is none: take more --events, or a time when the servers have nothing else to do."
    if m.others and median(m.others) > BUSY:
        yield f"Others took {median(m.others):.1f} of this machine's cores meanwhile: alone it does more."
