"""The one output path: a report becomes rich tables for people or JSON for machines, on stdout."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from outboxctl.wording import brief

PIPE_WIDTH = 240  # columns when stdout is no terminal: whole ids for grep
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FOLDED = 36  # columns that a text still has when it is folded; an id has as many
BETWEEN = 3  # columns that a table puts between two


class Output(Console):
    """A console whose reader may leave (`| head`): nothing more can be said, and that is no error."""

    def on_broken_pipe(self) -> None:
        """End well; the base class exits 1."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console that takes nothing in a text for markup; colour and width only from a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    # Bold is no colour, but whoever asks for none wants plain text.
    system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Output(stderr=stderr, markup=False, highlight=False, emoji=False, width=width, color_system=system)


def emit_json(report: Any) -> None:
    """Print a report (dataclass or mapping) as one JSON document."""
    _emit(report, indent=2)


def emit_line(report: Any) -> None:
    """The same on one line, for a stream of reports."""
    _emit(report, indent=None)


def _emit(report: Any, *, indent: int | None) -> None:
    plain = asdict(report) if is_dataclass(report) and not isinstance(report, type) else report
    typer.echo(json.dumps(plain, indent=indent, ensure_ascii=False, default=_plain))


class Listing(Table):
    """A table that becomes a line a field where the terminal is too narrow for whole ids beside the rest."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its rows below each other."""
        if self._holds_ids() and self._room(options.max_width) < 0:
            yield from self._stacked()
        else:
            yield from super().__rich_console__(console, options)

    def _holds_ids(self) -> bool:
        return any(UUID.fullmatch(str(value)) for column in self.columns for value in column.cells)

    def _room(self, width: int) -> int:
        """How much wider the terminal is than needed if the widest column is folded, and not too much."""
        widths = [max((cell_len(str(value)) for value in column.cells), default=0) for column in self.columns]
        widest = max(widths)
        return width - sum(widths) + widest - min(widest, FOLDED) - BETWEEN * len(widths)

    def _stacked(self) -> Iterator[Text]:
        yield Text(f"{self.title}\n", style="bold")
        for row in zip(*(column.cells for column in self.columns), strict=True):
            fields = [
                (str(value), str(column.header)) for column, value in zip(self.columns, row, strict=True)
            ]
            for value, name in sorted(fields, key=lambda field: not UUID.fullmatch(field[0])):
                yield Text(value if UUID.fullmatch(value) else f"  {name}: {value}", overflow="fold")
            yield Text()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of cleaned cells; columns of numbers are right-aligned."""
    cells = [[cell(value) for value in row] for row in rows]
    result = Listing(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(cells) and all(row[index].plain.replace(",", "").isdigit() for row in cells)
        # An id that is broken over lines cannot be copied.
        result.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=name == "id")
    for row in cells:
        result.add_row(*row)
    return result


def counts(title: str, names: tuple[str, str], values: Mapping[str, int]) -> Table:
    """A table of names and counts."""
    return table(title, names, [(name, f"{count:,}") for name, count in values.items()])


def cell(value: Any) -> Text:
    """Any value as text that cannot move a cursor or open markup; None is a dash."""
    if value is None:
        return Text("-")
    if isinstance(value, datetime):
        return Text(value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") + "Z")
    return Text(brief(value, 200))


def age(seconds: float) -> str:
    """A duration for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:  # noqa: PLR2004 - below ten seconds tenths matter
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def distance(moment: datetime | None, now: datetime) -> str | None:
    """How far a moment is from now, either way; None stays None."""
    return None if moment is None else age(abs((moment - now).total_seconds()))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal, nothing elsewhere; yields `advance(count)`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    out = console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.update(task, advance=count)
