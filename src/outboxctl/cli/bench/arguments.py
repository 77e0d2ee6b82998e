"""The arguments of `bench`, checked: settings, sizes, the cells to try, and a folder."""

import re
from pathlib import Path

from outboxctl.cli import options
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.drills.bench.measured import MOST_BYTES, MOST_CELLS, BenchOptions, Cell
from outboxctl.drills.scratch.settings import fixed
from outboxctl.settings import Settings

MOST_LANES, LARGEST_BATCH = 64, 10_000
NUMBERS = re.compile(r"\s*[0-9]{1,6}\s*(,\s*[0-9]{1,6}\s*)*")


def settings(*, own: bool, search: str) -> Settings:
    """The user's settings; with `--own` the defaults, whatever the user's environment has."""
    if not own and search != "auto":
        raise UsageError("--search: only with --own", hint="else the engine is that of ELASTIC_URL")
    if own:
        return fixed({})
    configured = options.settings()
    if configured.database_url is None:
        hint = "export it, or take --own: servers are started for the run"
        raise UsageError("DATABASE_URL is not set", hint=hint)
    return configured


def checked_options(
    own: Settings, events: int, size: int, repeat: int, concurrency: str | None, bulk_size: str | None
) -> BenchOptions:
    """The checked flags; UsageError names a bad one."""
    if events * size > MOST_BYTES:
        hint = "the documents are held in memory: a gigabyte at most"
        raise UsageError(f"--events {events:,} times --bytes {size:,} is too much", hint=hint)
    lanes = _numbers("--concurrency", concurrency, own.concurrency, MOST_LANES)
    sizes = _numbers("--bulk-size", bulk_size, own.bulk_size, LARGEST_BATCH)
    cells = [Cell(lane, batch) for lane in lanes for batch in sizes]
    if len(cells) > MOST_CELLS:
        hint = "name fewer values"
        raise UsageError(f"{len(cells)} settings to try: at most {MOST_CELLS}", hint=hint)
    return BenchOptions(events, size, repeat, cells)


def _numbers(flag: str, text: str | None, default: int, most: int) -> list[int]:
    """The numbers of `1,2,4`, each once and in order; UsageError."""
    if text is None:
        return [default]
    numbers = {int(word) for word in text.split(",")} if NUMBERS.fullmatch(text) else {0}
    if not all(1 <= number <= most for number in numbers):
        what = f"{flag}: expected numbers from 1 to {most:,}, got {brief(repr(text), 80)}"
        raise UsageError(what, hint="for example 4, or 1,2,4")
    return sorted(numbers)


def folder(out: Path | None) -> Path | None:
    """Create the folder before the measurement, so that an error is reported at once. UsageError."""
    if out is None:
        return None
    try:
        out.mkdir(parents=True, exist_ok=True)
        (probe := out / ".bench").touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out: cannot write to {brief(out, 200)}: {error.strerror}") from None
    return out
