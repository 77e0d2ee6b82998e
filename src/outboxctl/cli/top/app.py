"""The full-screen view: figures above, failures by their causes in the middle, workers below."""

import os
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.theme import BUILTIN_THEMES
from textual.widgets import DataTable, Footer, Static

from outboxctl.cli import rendering
from outboxctl.cli.top import paint
from outboxctl.cli.top.screens import PREPARE, GroupScreen, Note, ReplayRequested, Rows
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from outboxctl.cli.top.feed import Feed, TopSnapshot

HELP = """\
up, down  choose a cause of failures, or an event
enter     look into it: its events; an event with its error in full
esc       back
r         prepare a replay of the cause that is chosen, or of the one event
q         quit, and print the commands that were prepared

Nothing is changed from here. A prepared command is a rehearsal: say in it
who you are and why, run it, and run it again without --dry-run."""

# The terminal's own two colours, bold, underlined and reversed: it can be read on light and dark terminals,
# and needs no NO_COLOR.
OWN = "ansi_default"
ANSI = BUILTIN_THEMES["ansi-dark"]
PLAIN = replace(
    ANSI,
    name="plain",
    primary=OWN,
    secondary=OWN,
    warning=OWN,
    error=OWN,
    success=OWN,
    accent=OWN,
    variables={name: "none" if name.endswith("style") else OWN for name in ANSI.variables}
    | {"footer-key-foreground": OWN},
)
STYLE = """
.text, #figures, #banner, .banner, #workers { padding: 0 1; height: auto; }
#banner, .banner { text-style: reverse; display: none; }
Rows { height: 1fr; background: ansi_default; }
Rows > .datatable--header { background: ansi_default; text-style: bold underline; }
Rows > .datatable--hover { background: ansi_default; }
Rows > .datatable--cursor, Rows:focus > .datatable--cursor {
    background: ansi_default; color: ansi_default; text-style: reverse;
}
* { scrollbar-size: 0 0; }
Note { align: center middle; background: ansi_default; }
.note { width: 78; height: auto; border: round ansi_default; padding: 0 1; }
"""


class Top(App[list[str]]):
    """Reads a snapshot every `interval` seconds; ends with the commands that were prepared."""

    CSS = STYLE
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        PREPARE,
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q,ctrl+c", "leave", "Quit", key_display="q"),
    ]

    def __init__(self, feed: "Feed", first: "TopSnapshot", interval: float) -> None:
        os.environ.pop("NO_COLOR", None)  # nothing has a colour; Textual's answer is black on black
        super().__init__()
        self.register_theme(PLAIN)
        self.theme = PLAIN.name
        self._feed, self._first, self._interval = feed, first, interval
        self._groups = {group.fingerprint: group for group in first.groups}
        self._history = paint.History()
        self._requested_at: float | None = None  # of the snapshot that is being read
        self.prepared: list[str] = []

    def compose(self) -> ComposeResult:
        """Figures, banner, failures, workers, keys."""
        yield Static(id="figures")
        yield Static(id="banner")
        yield Rows(("reason", "events", "last", "what they say"))
        yield Static(id="workers")
        yield Footer()

    def on_mount(self) -> None:
        """Show the first snapshot, and read more."""
        self.show(self._first)
        self.set_interval(self._interval, self._tick)

    def _tick(self) -> None:
        if self._requested_at is None:
            self._requested_at = monotonic()
            self._read()
        elif (waited := monotonic() - self._requested_at) > max(1, self._interval):
            self.trouble(f"the database has not answered for {rendering.age(waited)}")

    @work(thread=True)
    def _read(self) -> None:
        try:
            snapshot = self._feed.snapshot()
        except Exception as error:
            self.call_from_thread(self.trouble, str(error))
        else:
            self.call_from_thread(self.show, snapshot)
        finally:
            self._requested_at = None

    def show(self, snapshot: "TopSnapshot") -> None:
        """Draw a snapshot."""
        self._history.add(snapshot.state)
        self._groups = {group.fingerprint: group for group in snapshot.groups}
        main = self.screen_stack[0]
        figures = paint.figures(snapshot.state, self._history, self.size.width - 2)
        main.query_one("#figures", Static).update(figures)
        main.query_one("#banner").display = False
        main.query_one(Rows).fill({name: paint.group(group) for name, group in self._groups.items()})
        main.query_one("#workers", Static).update(paint.workers(snapshot.state.workers))

    def trouble(self, message: str) -> None:
        """Show above the last figures why they are old."""
        banner = self.screen_stack[0].query_one("#banner", Static)
        banner.update(Text(f"{brief(message, 300)}; trying again, the figures are old"))
        banner.display = True

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Show the events of one cause."""
        self.push_screen(GroupScreen(self._feed, self._groups[str(event.row_key.value)]))

    def action_prepare(self) -> None:
        """Prepare a replay of the chosen cause."""
        chosen = self.query_one(Rows).chosen
        if chosen:
            self.post_message(ReplayRequested(f"--fingerprint {chosen}"))

    def on_replay_requested(self, request: ReplayRequested) -> None:
        """Keep a command until the end, and show it."""
        if request.command not in self.prepared:
            self.prepared.append(request.command)
        self.push_screen(Note(f"Prepared, and printed when you quit:\n\n{request.command}"))

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Note(HELP))

    def action_leave(self) -> None:
        """End, with what was prepared."""
        self.exit(self.prepared)
