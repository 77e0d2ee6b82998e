"""The one output path: a report becomes tables or JSON on stdout; rich is loaded where it prints."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import typer

from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.domain import json_numbers
from outboxctl.domain.printable import brief, clean_json
from outboxctl.domain.redaction import redact, redacted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PIPE_WIDTH = 10_000  # columns when stdout is no terminal: whole lines for grep, none cut or folded
PIPE_CELL = 4_000  # characters of a cell there


class Unbroken(str):
    """A text that is not broken into lines on a terminal, so that it can be copied."""

    __slots__ = ()


class Item(str):
    """A text beneath a line: two blanks in, and four where it goes on in the next line of a terminal."""

    __slots__ = ()


def console(*, stderr: bool = False) -> "Console":
    """A console that takes nothing in a text for markup; colour and width only from a terminal."""
    from outboxctl.cli.rich_output import PipeConsole, Unpadded

    stream = sys.stderr if stderr else sys.stdout
    # Bold is no colour, but NO_COLOR asks for plain text.
    system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    terminal = stream.isatty()
    return PipeConsole(
        file=None if terminal else cast("IO[str]", Unpadded(stream)),
        stderr=stderr,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if terminal else PIPE_WIDTH,
        color_system=system,
    )


def room(longest: int) -> int:
    """How many characters of a text are shown: `longest` on a terminal, elsewhere nearly all."""
    return longest if sys.stdout.isatty() else max(longest, PIPE_CELL)


@tolerate_closed_pipe()
def show(report: Any, lines: Callable[[], Iterable[Any]], *, json: bool) -> None:
    """Print a report as JSON, or for people what `lines` returns: texts and tables, one below the other."""
    if json:
        emit_json(report)
        return
    out = console()
    for line in lines():
        if isinstance(line, Item):
            _print_item(out, line)
            continue
        unbroken = isinstance(line, Unbroken) or (isinstance(line, str) and not out.is_terminal)
        out.print(line, soft_wrap=unbroken)


def _print_item(out: "Console", item: Item) -> None:
    from rich.text import Text

    first, *others = Text(item).wrap(out, out.width - 4)
    out.print(Text("  ") + first, *(Text("    ") + other for other in others), sep="\n")


def emit_json(report: Any) -> None:
    """Print a report as one JSON document; secrets are redacted."""
    typer.echo(json_text(report))


def json_text(report: Any) -> str:
    """A report (dataclass or mapping) as one JSON document, redacted."""
    shown = redacted(asdict(report) if is_dataclass(report) and not isinstance(report, type) else report)
    return clean_json(json_numbers.dumps(shown, indent=2, ensure_ascii=False, default=_plain))


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, longest: int = 200
) -> "Table":
    """A table of cleaned cells, at most `longest` characters on a terminal; numbers are right-aligned."""
    from outboxctl.cli.rich_output import IdTable

    cells = [[cell(value, room(longest)) for value in row] for row in rows]
    result = IdTable(title)
    for index, name in enumerate(columns):
        numeric = bool(cells) and all(row[index].plain.replace(",", "").isdigit() for row in cells)
        copied = name in ("id", "setting")  # what is broken over lines cannot be copied
        side: Literal["left", "right"] = "right" if numeric else "left"
        result.add_column(name, justify=side, overflow="fold", no_wrap=copied)
    for row in cells:
        result.add_row(*row)
    return result


def counts(title: str, names: tuple[str, str], values: Mapping[str, int]) -> "Table":
    """A table of names and counts."""
    return table(title, names, [(name, f"{count:,}") for name, count in values.items()])


def cell(value: Any, longest: int = 200) -> "Text":
    """Any value as text that cannot move a cursor or open markup; None is a dash."""
    from rich.text import Text

    if value is None:
        return Text("-")
    if isinstance(value, datetime):
        return Text(value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") + "Z")
    return Text(brief(value, longest))


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


def _plain(value: object) -> str:
    return redact(value.isoformat() if isinstance(value, datetime) else str(value))


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal, nothing elsewhere; yields `advance(count)`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    out = console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.update(task, advance=count)
