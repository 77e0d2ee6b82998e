"""Causes of failures, actions of the audit, and events beside their documents, for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group as Parts
from rich.padding import Padding
from rich.text import Text

from outboxctl.cli import rendering
from outboxctl.domain.failures import REPLAY_FAILS, Reason
from outboxctl.domain.json_numbers import dumps
from outboxctl.domain.printable import brief, counted

if TYPE_CHECKING:
    from outboxctl.core.operator.audit import AuditRow
    from outboxctl.core.operator.selection import Group
    from outboxctl.core.stats.snapshot import EventRow
    from outboxctl.operations.inspection import Inspection

WHO = "--by YOU --reason WHY --dry-run"  # pasted unread it changes nothing
AGAIN = "failed again after a replay: correct the row, the view or the mapping first"
SAMPLE = 240  # characters of an error in a list: three lines of 80 columns


def cause(group: "Group") -> Parts:
    """One group: what, how many, since when, and what the errors say."""
    head = Text(group.fingerprint, style="bold")
    head.append(f"  {brief(group.error_reason, 80)}  {counted(group.count, 'event')}", style="not bold")
    if group.failed_again:
        head.append(f", {group.failed_again:,} {AGAIN}", style="not bold")
    times = [rendering.cell(moment).plain for moment in (group.first_failed_at, group.last_failed_at)]
    of = group.entity_types.items()
    kinds = ", ".join(f"{counted(count, 'event')} of {brief(kind, 50)}" for kind, count in of)
    below = f"{' to '.join(dict.fromkeys(times))}; {brief(kinds, rendering.room(SAMPLE))}\n{_words(group)}"
    return Parts("", _item(head, below))


def _words(group: "Group") -> str:
    """What the errors say: where they differ in values, the newest of them, in its own words."""
    text = brief(group.sample or "", rendering.room(SAMPLE))
    alike = group.count == 1 or " ".join(text.split()) == group.folded
    return text if alike else f"for example: {text}"


def advice(reason: str | None, option: str) -> rendering.Unbroken:
    """The next command for failed events of a reason, which `option` selects: a replay where it can help."""
    known = f"What it means: outboxctl explain {reason}\n" if reason in set(Reason) else ""
    if reason not in REPLAY_FAILS:
        return rendering.Unbroken(f"{known}Next: outboxctl replay {option} {WHO}")
    why = f"{reason}: a replay fails again until the event's row is changed."
    return rendering.Unbroken(f"{known}{why}\nNext: outboxctl failed discard {option} {WHO}")


def failure(row: "EventRow", *, said: str | None = None) -> Parts:
    """One failed event: which, of what, when, how often, and its error, unless that was `said` before."""
    head = Text(row.id, style="bold")
    head.append(f"  {brief(row.entity_type, 50)}  {brief(row.error_reason or 'none', 80)}", style="not bold")
    attempts = counted(row.attempts, "attempt")
    facts = [f"{rendering.cell(row.updated_at).plain}, {attempts}, {counted(row.replay_count, 'replay')}"]
    facts += ["failed again after a replay"] if row.replay_count else []
    error = [] if row.error == said else [brief(row.error or "", rendering.room(SAMPLE))]
    return _item(head, "\n".join(["; ".join(facts), *error]))


def act(row: "AuditRow") -> Parts:
    """One act of the audit: which, what, how many, who; when and of what; why."""
    head = Text(row.id, style="bold")
    what = counted(row.affected, "document" if row.action.startswith("rebuild") else "event")
    head.append(f"  {brief(row.action, 20)}  {what} by {brief(row.operator, 120)}", "not bold")
    times = dict.fromkeys(rendering.cell(moment).plain for moment in (row.at, row.ended_at))
    filters = ", ".join(f"{name}={brief(value, SAMPLE)}" for name, value in row.filters.items())
    login = f"logged in as {brief(row.logged_in_as, 130)}; " if row.logged_in_as else ""
    below = f"{' to '.join(times)}; {login}{filters or 'all'}\n{brief(row.reason, 2_000)}"
    return _item(head, below)


def _item(head: Text, below: str) -> Parts:
    return Parts(head, Padding(Text(below), (0, 0, 0, 2), expand=False))


def view(inspection: "Inspection") -> Parts:
    """An event, its source row, its document and what differs."""
    title = "Event" if inspection.fingerprint is None else f"Event (cause {inspection.fingerprint})"
    return Parts(_fields(title, inspection.event), *_source(inspection), *_document(inspection))


def _source(inspection: "Inspection") -> list[Any]:
    """What the document is made of now, or why there is none; before it the key of a declared projection."""
    key, name = brief(inspection.key or "(every document)", 600), brief(inspection.projection, 50)
    declared = inspection.key is not None
    head = [Text(f"Key {key} of projection {name}\n")] if declared else []
    view = brief(inspection.view, 130) or "search_index"
    if inspection.source_error:
        return [*head, Text(f"{view} cannot be read: {brief(inspection.source_error, 600)}\n")]
    if inspection.source is None:
        of = f"key {key}" if declared else brief(inspection.document_id, 120)
        return [*head, Text(f"{view} has no row for {of}: a delivery deletes the document.\n")]
    return [*head, _fields(f"Document as {view} has it", inspection.source)]


def _fields(title: str, fields: Mapping[str, Any]) -> Any:
    rows = [(name, _value(value)) for name, value in fields.items()]
    return rendering.table(title, ("field", "value"), rows, longest=1_000)


def _value(value: Any) -> Any:
    """JSON of what is no text, so that 5 and "5" differ."""
    return value if value is None or isinstance(value, str) else dumps(value, ensure_ascii=False)


def _document(inspection: "Inspection") -> list[Any]:
    if not inspection.document_id:
        return []
    name = f"document {brief(inspection.document_id, 120)}"
    if inspection.sink_error:
        return [Text(f"The index could not be read: {brief(inspection.sink_error, 600)}")]
    if inspection.document is None:
        return [Text(f"There is no {name} in the index.\n"), _difference(inspection)]
    title = f"{name.capitalize()}, version {inspection.document.version}"
    return [_fields(title, inspection.document.body), _difference(inspection)]


def _difference(inspection: "Inspection") -> Any:
    if inspection.difference is None:
        return Text("They were not compared.")
    if not inspection.difference:
        both = "the document is as its source has it" if inspection.source else "neither exists"
        return Text(f"No difference: {both}.")
    rows = [(d.field, d.kind, _value(d.source), _value(d.document)) for d in inspection.difference]
    return rendering.table("Difference", ("field", "", "source", "index"), rows)
