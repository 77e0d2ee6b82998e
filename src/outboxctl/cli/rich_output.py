"""Rich's console and tables as commands print them; loaded only where something is printed."""

import re
from collections.abc import Iterator
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BLANKS = re.compile(r" +$", re.MULTILINE)
FOLDED = 36  # columns that a text still has when it is folded; an id has as many
BETWEEN = 3  # blanks between two columns


class PipeConsole(Console):
    """A console that raises BrokenPipeError where its reader has gone; the base class exits 1."""

    def on_broken_pipe(self) -> None:
        """Raise it."""
        raise BrokenPipeError


class Unpadded:
    """A stream that is no terminal, without the blanks with which Rich fills lines up to its width."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Write whole lines, as a console does, without blanks at their ends."""
        self._stream.write(BLANKS.sub("", text))
        return len(text)

    def flush(self) -> None:
        """Flush."""
        self._stream.flush()

    def isatty(self) -> bool:
        """It is no terminal."""
        return False

    def fileno(self) -> int:
        """The stream's own."""
        return self._stream.fileno()


class IdTable(Table):
    """A table that becomes a line a field where the terminal is too narrow for ids in one piece."""

    def __init__(self, title: str) -> None:
        super().__init__(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table, or its rows below each other."""
        if self._holds_ids() and self._room(options.max_width) < 0:
            yield from self._stacked()
        else:
            yield from super().__rich_console__(console, options)

    def _holds_ids(self) -> bool:
        return any(UUID.fullmatch(str(value)) for column in self.columns for value in column.cells)

    def _room(self, width: int) -> int:
        """Columns to spare if the widest column is folded to FOLDED; negative if there are too few."""
        widths = [max((cell_len(str(value)) for value in column.cells), default=0) for column in self.columns]
        widest = max(widths)
        return width - sum(widths) + widest - min(widest, FOLDED) - BETWEEN * len(widths)

    def _stacked(self) -> Iterator[Text]:
        yield Text(f"{self.title}\n", style="bold")
        for row in zip(*(column.cells for column in self.columns), strict=True):
            fields = zip(map(str, row), (column.header for column in self.columns), strict=True)
            for value, name in sorted(fields, key=lambda field: not UUID.fullmatch(field[0])):
                yield Text(value if UUID.fullmatch(value) else f"  {name}: {value}", overflow="fold")
            yield Text()
