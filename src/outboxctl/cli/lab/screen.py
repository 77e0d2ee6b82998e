"""A run of labs on the terminal: a live row for each lab; elsewhere a line where one begins and ends."""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from outboxctl.cli.chaos.ledger import say
from outboxctl.drills.labs.messages import in_language

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from rich.console import Console, RenderableType
    from rich.text import Text

    from outboxctl.drills.labs.drill import LabEvent
    from outboxctl.drills.labs.lab import Lab
    from outboxctl.drills.labs.model import LabPhase, LabSample, Record

COLOURS = {"OK": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}
DRAWS_A_SECOND = 4
ECHO = 2  # columns left free for a terminal's echo of ^C, which would wrap the last line
WIDE = 100  # columns: below, only three counts of a lab are shown


@dataclass
class LabRow:
    """One lab: not begun (`phase` None), running, or ended (`record`)."""

    lab: "type[Lab]"
    phase: "LabPhase | None" = None
    sample: "LabSample | None" = None
    began: float = 0.0
    record: "Record | None" = None

    def time(self) -> str:
        """How long it took, or has taken and usually takes."""
        if self.record:
            return f"{self.record.seconds:.1f} s"
        return (
            f"{monotonic() - self.began:.0f} / {self.lab.takes()}" if self.phase else f"~{self.lab.takes()}"
        )


class LabScreen:
    """Draws the progress of labs on `out` until its block ends; once `stop` is set the title says so.

    Each row is written by the thread of its lab, and read by the thread that draws.
    """

    def __init__(self, labs: "Sequence[type[Lab]]", out: "Console", stop: "Event", lang: str = "en") -> None:
        from rich.live import Live

        self.rows = {lab.name: LabRow(lab) for lab in labs}
        self._out, self._stop, self._lang, self._began = out, stop, lang, monotonic()
        self._still = not out.is_terminal or out.is_dumb_terminal
        self._live = Live(
            console=out, get_renderable=self._drawn, refresh_per_second=DRAWS_A_SECOND, transient=True
        )

    def __enter__(self) -> "LabScreen":
        """Begin to draw."""
        if not self._still:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._live.stop()

    def update(self, event: "LabEvent") -> None:
        """Note the progress of a lab."""
        row = self.rows[event.lab.name]
        begins = row.phase is None
        if begins:
            row.began = monotonic()
        if event.phase is None:
            row.record = event.record
        else:
            row.phase, row.sample = event.phase, event.sample or row.sample
        if self._still and (begins or row.record):
            self._say(row)

    def _say(self, row: LabRow) -> None:
        name = row.lab.name
        begins = f"{name}: begins, about {row.lab.takes()}"
        ended = f"{name}: {row.record.verdict} after {row.record.seconds:.1f} s" if row.record else begins
        say(in_language(ended, self._lang))

    def _drawn(self) -> "RenderableType":
        from rich import box
        from rich.table import Table

        wide, width = self._out.width >= WIDE, max(1, self._out.width - ECHO)
        table = Table(box=box.SIMPLE_HEAD, width=width, title_justify="left", title=self._title())
        table.add_column(self._in_language("lab"), no_wrap=True, ratio=3)
        table.add_column(self._in_language("phase"), no_wrap=True, width=12)
        counts = (
            ("pending", "processing", "done", "failed", "attempts") if wide else ("lag", "done", "failed")
        )
        for name in counts:
            table.add_column(self._in_language(name), justify="right", no_wrap=True)
        table.add_column(self._in_language("took"), justify="right", no_wrap=True, width=12)
        for row in self._shown():
            figures = [f"{getattr(row.sample.look, name):,}" if row.sample else "" for name in counts]
            table.add_row(row.lab.name, self._state(row), *figures, row.time())
        return table

    def _shown(self) -> list[LabRow]:
        """The rows that fit the screen; running labs are preferred, then ended ones."""
        rows, room = list(self.rows.values()), max(3, self._out.height - 6)
        # `sorted` is stable: false comes first, rows that are equal keep their order.
        kept = sorted(rows, key=lambda row: (row.phase is None or row.record is not None, not row.record))
        return [row for row in rows if row in kept[:room]]

    def _title(self) -> str:
        ended = sum(row.record is not None for row in self.rows.values())
        minutes, seconds = divmod(round(monotonic() - self._began), 60)
        took = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        text = f"{ended} of {len(self.rows)} labs ended, {took}"
        return self._in_language(f"{text}, ending" if self._stop.is_set() else text)

    def _state(self, row: LabRow) -> "Text | str":
        from rich.text import Text

        if row.record:
            return Text(row.record.verdict, style=COLOURS[row.record.verdict])
        return self._in_language(row.phase or "waits")

    def _in_language(self, text: str) -> str:
        return in_language(text, self._lang)
