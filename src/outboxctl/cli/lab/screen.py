"""A run of labs on the terminal: a live row for each lab; elsewhere a line where one begins and ends."""

from typing import TYPE_CHECKING

from outboxctl.cli.chaos.ledger import say
from outboxctl.cli.lab.progress import LabProgress, LabRow

if TYPE_CHECKING:
    from threading import Event

    from rich.console import Console, RenderableType
    from rich.text import Text

    from outboxctl.drills.labs.drill import LabEvent

HEADS = {
    "en": ("lab", "phase", "attempts", "lag", "time"),
    "zh": ("实验", "阶段", "尝试次数", "积压", "用时"),
}
BEGINS = {"en": "{}: begins, about {:g} s", "zh": "{}：开始，约 {:g} s"}
ENDED = {"en": "{}: {} after {:.1f} s", "zh": "{}：{}，用时 {:.1f} s"}
TITLE = {"en": "{} of {} labs ended, {}, {}", "zh": "{}/{} 个实验已结束，{}，{}"}
LEFT = {"en": "about {} left", "zh": "约剩 {}"}
ENDING = {"en": "ending", "zh": "正在结束"}
WAITS = {"en": "waits", "zh": "等待"}
COLOURS = {"OK": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}
DRAWS_A_SECOND = 4
ECHO = 2  # columns left free for a terminal's echo of ^C, which would wrap the last line
WIDE = 100  # columns: below, only three counts of a lab are shown


class LabScreen:
    """Draws `progress` on `out` until its block ends; once `stop` is set the title says so."""

    def __init__(self, progress: LabProgress, out: "Console", stop: "Event", lang: str = "en") -> None:
        from rich.live import Live

        self._progress, self._out, self._stop, self._lang = progress, out, stop, lang
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
        begins = self._progress.rows[event.lab.name].phase is None
        row = self._progress.update(event)
        if self._still and begins and not row.record:
            say(BEGINS[self._lang].format(row.lab.name, row.usual))
        elif self._still and row.record and not event.sample:
            say(ENDED[self._lang].format(row.lab.name, row.record.verdict, row.record.seconds))

    def _drawn(self) -> "RenderableType":
        from rich import box
        from rich.table import Table

        wide, width = self._out.width >= WIDE, max(1, self._out.width - ECHO)
        table = Table(box=box.SIMPLE_HEAD, width=width, title_justify="left", title=self._title())
        lab, phase, attempts, lag, time = HEADS[self._lang]
        table.add_column(lab, no_wrap=True, ratio=3)
        table.add_column(phase, no_wrap=True, width=12)
        names = ("pending", "processing", "done", "failed", attempts) if wide else (lag, "done", "failed")
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column(time, justify="right", no_wrap=True, width=13)
        for row in self._shown():
            table.add_row(row.lab.name, _state(row, self._lang), *_figures(row, wide=wide), _time(row))
        return table

    def _shown(self) -> list[LabRow]:
        """The rows that fit the screen; running labs are preferred, then ended ones."""
        rows = list(self._progress.rows.values())
        room = max(3, self._out.height - 6)
        if len(rows) <= room:
            return rows
        # `sorted` is stable: false comes first, rows that are equal keep their order.
        kept = sorted(rows, key=lambda row: (row.phase is None or row.record is not None, not row.record))[
            :room
        ]
        return [row for row in rows if row in kept]

    def _title(self) -> str:
        progress = self._progress
        left = (ENDING if self._stop.is_set() else LEFT)[self._lang].format(_age(progress.remaining))
        ended, elapsed = sum(row.record is not None for row in progress.rows.values()), _age(progress.elapsed)
        return TITLE[self._lang].format(ended, len(progress.rows), elapsed, left)


def _age(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _state(row: LabRow, lang: str) -> "Text | str":
    from rich.text import Text

    from outboxctl.drills.labs.evidence.words import PHASES

    if row.record:
        return Text(row.record.verdict, style=COLOURS[row.record.verdict])
    return str(getattr(PHASES[row.phase], lang)) if row.phase else WAITS[lang]


def _figures(row: LabRow, *, wide: bool) -> list[str]:
    if row.sample is None:
        return [""] * (5 if wide else 3)
    look = row.sample.look
    if wide:
        return [f"{n:,}" for n in (look.pending, look.processing, look.done, look.failed, look.attempts)]
    return [f"{n:,}" for n in (look.lag, look.done, look.failed)]


def _time(row: LabRow) -> str:
    usual = f"~{row.usual:.0f} s"
    if row.record:
        return f"{row.elapsed:.1f} s"
    return usual if row.phase is None else f"{row.elapsed:.0f} / {usual}"
