"""How a cause of failures, and an event with its two sides, look to a person."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group as Parts
from rich.padding import Padding
from rich.text import Text

from outboxctl.cli import render
from outboxctl.wording import brief

if TYPE_CHECKING:
    from outboxctl.acts.inspect import Inspection
    from outboxctl.core.failed import Group

SAMPLE = 240  # characters of an error in a list: three lines of 80 columns


def cause(group: "Group") -> Parts:
    """One group: what, how many, since when, and what the errors say."""
    head = Text(group.fingerprint, style="bold")
    head.append(f"  {brief(group.error_reason, 80)}  {group.count:,} events", style="not bold")
    if group.failed_again:
        head.append(f", {group.failed_again:,} failed again after a replay", style="not bold")
    times = [render.cell(moment).plain for moment in (group.first_failed_at, group.last_failed_at)]
    kinds = ", ".join(f"{brief(kind, 50)} {count:,}" for kind, count in group.entity_types.items())
    below = f"{' to '.join(dict.fromkeys(times))}; {brief(kinds, SAMPLE)}\n{brief(group.folded, SAMPLE)}"
    return Parts("", head, Padding(Text(below), (0, 0, 0, 2), expand=False))


def view(seen: "Inspection") -> Parts:
    """An event, its source row, its document and what differs."""
    here, there = "its source row", f"document {brief(seen.document_id, 120)}"
    parts = [
        _fields("Event" if seen.fingerprint is None else f"Event (cause {seen.fingerprint})", seen.event)
    ]
    parts.append(
        _fields("Source row", seen.source) if seen.source else Text(f"{here.capitalize()} is gone.\n")
    )
    return Parts(*parts, *_there(seen, there), _difference(seen))


def _fields(title: str, fields: Mapping[str, Any]) -> Any:
    return render.table(title, ("field", "value"), [(name, _value(value)) for name, value in fields.items()])


def _value(value: Any) -> Any:
    """JSON's words for what is no text, so that null, 5 and "5" are told apart."""
    from json import dumps

    return value if value is None or isinstance(value, str) else dumps(value, ensure_ascii=False)


def _there(seen: "Inspection", name: str) -> list[Any]:
    if seen.sink_error:
        return [Text(f"The index could not be asked: {brief(seen.sink_error, 600)}\n")]
    if seen.document is None:
        return [Text(f"There is no {name} in the index.\n")]
    return [_fields(f"{name.capitalize()}, version {seen.document.version}", seen.document.body)]


def _difference(seen: "Inspection") -> Any:
    if seen.difference is None:
        return Text("")
    if not seen.difference:
        return Text("No difference: the index says what the source row says.")
    rows = [(d.field, d.kind, _value(d.source), _value(d.document)) for d in seen.difference]
    return render.table("Difference", ("field", "", "source row", "index"), rows)
