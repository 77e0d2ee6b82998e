"""The screens above the first one: the events of one cause, one event, and notes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Footer, Static

from outboxctl.cli import rendering
from outboxctl.cli.top import paint
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from outboxctl.cli.top.feed import Feed
    from outboxctl.core.operator.failed import Group

REHEARSAL = "--by YOU --reason 'WHY' --dry-run"  # pasted unread it changes nothing
AGAIN = 1.0  # seconds until a failed read is tried again
BACK = Binding("escape,backspace", "app.pop_screen", "Back", key_display="esc")
PREPARE = Binding("r", "prepare", "Prepare a replay")


class ReplayRequested(Message):
    """A request to prepare a replay of the events that this option chooses."""

    def __init__(self, option: str) -> None:
        super().__init__()
        self.command = f"outboxctl replay {option} {REHEARSAL}"


class Rows(DataTable[Text]):
    """A table of clean cells that keeps its cursor on the same row when it is filled again."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(cursor_type="row")
        self._names = columns

    def on_mount(self) -> None:
        """Add the columns."""
        self.fill({})

    def fill(self, rows: dict[str, Sequence[object]]) -> None:
        """Show these rows by their keys.

        Each column gets its width here: a column that measures itself does so when the table is idle, and
        what was painted before that stays as narrow as its heading.
        """
        before = self.chosen
        cleaned = {key: [rendering.cell(value) for value in cells] for key, cells in rows.items()}
        self.clear(columns=True)
        for place, name in enumerate(self._names):
            widths = (cells[place].cell_len for cells in cleaned.values())
            self.add_column(Text(name), width=max(len(name), *widths, 0))
        for key, cells in cleaned.items():
            self.add_row(*cells, key=key)
        if before in rows:
            self.move_cursor(row=self.get_row_index(before))

    @property
    def chosen(self) -> str:
        """The key of the row under the cursor; empty where there is none."""
        if not self.row_count:
            return ""
        return str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)


class Detail(Screen[None]):
    """A screen that reads what it shows in the background, and tries again after an error."""

    BINDINGS: ClassVar[list[BindingType]] = [BACK, PREPARE]

    def __init__(self, feed: "Feed", option: str) -> None:
        super().__init__()
        self.feed, self._option = feed, option

    def action_prepare(self) -> None:
        """Prepare a replay of what is shown."""
        self.post_message(ReplayRequested(self._option))

    @work(thread=True)
    def read(self, query: Callable[[], Any], show: Callable[[Any], None]) -> None:
        """Show what `query` returns; after an error show it, and try again."""
        try:
            answer = query()
        except Exception as error:
            self.app.call_from_thread(self._show_error, f"{brief(error, 300)}; trying again")
            self.app.call_from_thread(self.set_timer, AGAIN, lambda: self.read(query, show))
        else:
            self.app.call_from_thread(self._show_error, "")
            self.app.call_from_thread(show, answer)

    def _show_error(self, message: str) -> None:
        banner = self.query_one(".banner", Static)
        banner.update(Text(message))
        banner.display = bool(message)


class GroupScreen(Detail):
    """The events that failed of one cause."""

    def __init__(self, feed: "Feed", group: "Group") -> None:
        super().__init__(feed, f"--fingerprint {group.fingerprint}")
        self._group = group

    def compose(self) -> ComposeResult:
        """Cause above, events below."""
        yield Static(paint.cause(self._group), classes="text")
        yield Static(classes="banner")
        yield Rows(("id", "entity type", "attempts", "failed"))
        yield Footer()

    def on_mount(self) -> None:
        """Read the events."""
        self.read(lambda: self.feed.rows(self._group), self._show)

    def action_prepare(self) -> None:
        """Prepare a replay of the event under the cursor; of the cause where there is none."""
        chosen = self.query_one(Rows).chosen
        self.post_message(ReplayRequested(f"--id {chosen}" if chosen else self._option))

    def _show(self, rows: Any) -> None:
        self.query_one(Rows).fill({row.id: paint.row(row) for row in rows})

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Show one event."""
        event.stop()
        self.app.push_screen(EventScreen(self.feed, str(event.row_key.value)))


class EventScreen(Detail):
    """One event, its error in full, and its source row."""

    def __init__(self, feed: "Feed", event_id: str) -> None:
        super().__init__(feed, f"--id {event_id}")
        self._event_id = event_id

    def compose(self) -> ComposeResult:
        """The error, the event, the keys."""
        yield Static(classes="banner")
        with VerticalScroll():
            yield Static(classes="text")
        yield Footer()

    def on_mount(self) -> None:
        """Read the event."""
        self.read(lambda: self.feed.event(self._event_id), self._show)

    def _show(self, event: Any) -> None:
        text = paint.event(event) if event else Text("this event is gone")
        self.query_one(".text", Static).update(text)


class Note(ModalScreen[None]):
    """A text above everything, until a key is pressed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text in a box."""
        yield Static(Text(self._text), classes="note")

    def on_key(self) -> None:
        """Close it."""
        self.dismiss()
