"""The reports of `projection`."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from outboxctl.cli import rendering
from outboxctl.domain import json_numbers
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outboxctl.operations.projection.apply import Applied
    from outboxctl.operations.projection.drop import Dropped
    from outboxctl.operations.projection.preview import Preview
    from outboxctl.operations.projection.resolved import Planned, PlanStep
    from outboxctl.settings import Settings

LONGEST_NAME = 600  # characters of a server's name
LONGEST_VALUE = 2_000  # characters of a field's value that a person sees
STILL_HELD = (
    "{events:,} events are still held by workers after {seconds:g} s. They come back as retries of a "
    "projection that is not in force, and fail as `config` in the end: `outboxctl failed list` shows them."
)
SHARED = (
    "Its documents, whose ids begin with {prefix}, stay in it, too: `outboxctl rebuild` of a projection with "
    "the same index makes one without them."
)
REBUILD = "outboxctl rebuild --projection {name} --by YOU --reason WHY"


@dataclass(frozen=True)
class ServerNames:
    """Both servers that `plan` and `apply` use, without secrets: `host:port/name`, and URLs.

    `sink_is_default`: nobody has set ELASTIC_URL. Its default is somebody's engine on this machine.
    """

    database: str
    sink: str
    sink_is_default: bool

    def __str__(self) -> str:
        return f"From the database {self.database} to {self.named_sink}"

    @property
    def named_sink(self) -> str:
        """The sink, with the default said to be one."""
        return f"{self.sink} (default: ELASTIC_URL is not set)" if self.sink_is_default else self.sink


def server_names(settings: "Settings") -> ServerNames:
    """Of these settings. UsageError without a readable DATABASE_URL."""
    from outboxctl.core.conninfo import describe, parameters
    from outboxctl.net.urls import mask
    from outboxctl.settings import Source

    return ServerNames(
        brief(describe(parameters(settings.require_database_url())), LONGEST_NAME),
        brief(", ".join(map(mask, settings.sink_urls)), LONGEST_NAME),
        settings.origin("elastic_url").source is Source.DEFAULT,
    )


def one_line(query: str) -> str:
    """A query without its line breaks."""
    return " ".join(query.split())


def planned(each: "Planned") -> dict[str, Any]:
    """The plan of one projection for a report."""
    from outboxctl.operations.projection.overview import facts

    return facts(each.projection) | {
        "steps": [asdict(step) for step in each.steps],
        "warnings": [asdict(notice) for notice in each.notices],
        "shares": each.shares,
        "body": each.whole,
    }


def warnings(planned: "Planned") -> "Iterator[object]":
    """Each with its fix; a statement stands in a line of its own, so that it can be copied."""
    for notice in planned.notices:
        yield rendering.Item(brief(f"warning: {notice.text}; {notice.fix}", 600))
        for statement in notice.sql:
            yield rendering.Unbroken(f"    {brief(statement, 600)};")


def steps(several: "Sequence[PlanStep]", made: set[str]) -> "Iterator[object]":
    """A line a step; an index that several share is made once: what is `made` by now is left out."""
    for step in several:
        if step.what == "index":
            if step.text in made:
                continue
            made.add(step.text)
        yield rendering.Item(brief(f"{step.what}: {step.text}", rendering.room(600)))


def next_commands(planned: "Sequence[Planned]") -> "Iterator[object]":
    """What `apply` does not do: one command for an index, whoever has documents in it."""
    commands = {
        (each.projection.index, step.what): step.command
        for each in planned
        for step in each.steps
        if step.command
    }
    for command in commands.values():
        yield rendering.Unbroken(f"Next: {command}")


def applied(done: "Applied", servers: ServerNames, *, json: bool) -> None:
    """Show what was done, and the command that fills large new indexes faster."""
    rows = [
        planned(each)
        | {
            "done": [asdict(step) for step in done.steps[each.projection.name]],
            "steps": [asdict(step) for step in each.steps if step.what == "rebuild"],
        }
        for each in done.planned
    ]
    gone = [asdict(each) for each in done.gone]
    report = {"servers": asdict(servers), "projections": rows, "gone": gone, "audit_id": done.audit_id}
    rendering.show(report, lambda: _applied_lines(done), json=json)


def _applied_lines(done: "Applied") -> "Iterator[object]":
    made = set[str]()
    for each in done.planned:
        projection, own = each.projection, done.steps[each.projection.name]
        yield f"{projection.name}: {'' if own else 'as declared already; nothing was changed'}".rstrip(": ")
        yield from steps([*own, *(step for step in each.steps if step.what == "rebuild")], made)
        yield from warnings(each)
    yield from _filled(done)
    yield from next_commands(done.planned)
    for lost in done.gone:
        yield f"{lost.name}: its schema is gone"
        yield from map(rendering.Item, _dropped_lines(lost, waited=0.0))
    if done.audit_id:
        yield f"Audit {done.audit_id}"


def _filled(done: "Applied") -> "Iterator[object]":
    """What fills the indexes of projections that are new, by a command for all schemas of a declaration."""
    new = [each for each in done.planned if each.before is None and done.steps[each.projection.name]]
    indexes: dict[str, list[str]] = {}
    for each in new:
        indexes.setdefault(each.projection.family or each.projection.name, []).append(each.projection.index)
    for name, several in indexes.items():
        what = brief(several[0], 255) if len({*several}) == 1 else f"{len(several):,} indexes"
        yield f"  Workers fill {what} from here on; faster, where it is large:"
        yield rendering.Unbroken(f"    {REBUILD.format(name=name)}")


def overviews(found: "Sequence[dict[str, Any]]", *, json: bool, grouped: bool = True) -> None:
    """Show all; `grouped`: those of a declaration for several schemas in one line."""
    columns = ("name", "index", "root", "pending", "processing", "failed", "oldest")
    rows = _by_family(found) if grouped else found
    cells = [[_shown(each)[name] for name in columns] for each in rows]
    table = rendering.table("Projections", columns, cells) if found else "no projection is in force"
    rendering.show({"projections": found}, lambda: [table], json=json)


def _by_family(found: "Sequence[dict[str, Any]]") -> "Iterator[dict[str, Any]]":
    """Each as it is, and those of a declaration for several schemas together."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        groups.setdefault(each["family"] or each["name"], []).append(each)
    for name, several in groups.items():
        ages = [each["oldest_seconds"] for each in several if each["oldest_seconds"] is not None]
        sums = {what: sum(each[what] for each in several) for what in ("pending", "processing", "failed")}
        if several[0]["family"]:
            indexes = {each["index"] for each in several}
            index = indexes.pop() if len(indexes) == 1 else f"{len(indexes):,} indexes"
            what = {"name": name, "index": index, "root": counted(len(several), "schema")}
            yield several[0] | what | sums | {"oldest_seconds": max(ages, default=None)}
        else:
            yield several[0]


def overview(found: "Sequence[dict[str, Any]]", *, json: bool) -> None:
    """Show what a name chooses."""
    if len(found) > 1:
        overviews(found, json=json, grouped=False)
    else:
        rendering.show(found[0], lambda: _overview_lines(found[0]), json=json)


def _shown(found: dict[str, Any]) -> dict[str, str | None]:
    """The same for people, without what is followed."""
    texts = {name: each for name, each in found.items() if name not in ("follow", "oldest_seconds")}
    texts |= {
        "key": ", ".join(found["key"]),
        "oldest": _age(found["oldest_seconds"]),
        "skip_unchanged": "yes" * found["skip_unchanged"],
    }
    return {name: f"{each:,}" if isinstance(each, int) else each or None for name, each in texts.items()}


def _overview_lines(found: dict[str, Any]) -> "Iterator[object]":
    shown = _shown(found)
    left_out = {"name"} | {name for name in ("skip_unchanged",) if not found[name]}
    cells = [each for each in shown.items() if each[0] not in left_out]
    yield rendering.table(found["name"], ("what", ""), cells)
    rows = [
        (
            each["table"],
            "every one" if each["all"] else ", ".join(each["key"]) or one_line(each["keys"]),
            ", ".join(each["columns"]) or "all",
        )
        for each in found["follow"]
    ]
    if rows:
        yield rendering.table("Follows", ("table", "documents found by", "columns"), rows, longest=400)


def _age(seconds: float | None) -> str | None:
    return None if seconds is None else rendering.age(seconds)


def previews(name: str, found: "Sequence[Preview]", *, json: bool) -> None:
    """Show documents."""
    report = {"projection": name, "documents": [asdict(each) for each in found]}
    rendering.show(report, lambda: _preview_lines(name, found), json=json)


def _preview_lines(name: str, found: "Sequence[Preview]") -> "Iterator[object]":
    where = "" if name == PROJECTION else " in the view"
    for each in found:
        yield f"{brief(each.key, 520)} ({'the same in the index' if each.same else 'differs from the index'})"
        nothing = each.error or f"no row{where}: a delete"
        sent = nothing if each.sent is None else _value(each.sent)
        yield rendering.Item(f"sent: {sent}")
        yield rendering.Item(f"indexed: {_value(each.indexed) if each.indexed is not None else 'not there'}")
        if each.sent is not None and each.indexed is not None:
            for one in each.differences:
                yield rendering.Item(f"{brief(one.field, 200)}, sent: {_value(one.sent)}")
                yield rendering.Item(f"{brief(one.field, 200)}, indexed: {_value(one.indexed)}")


def _value(value: Any) -> str:
    return brief(json_numbers.dumps(value, ensure_ascii=False), LONGEST_VALUE)


def dropped(done: "Sequence[Dropped]", then: "Sequence[str]", *, waited: float, json: bool) -> None:
    """Show what was dropped, and what to do `then`; `waited`: seconds in which events could come back."""
    report = done[0] if len(done) == 1 else {"dropped": [asdict(each) for each in done]}
    lines: list[str] = [line for each in done for line in _dropped_lines(each, waited=waited)]
    lines += map(rendering.Unbroken, then)
    rendering.show(report, lambda: lines, json=json)


def _dropped_lines(done: "Dropped", *, waited: float) -> list[str]:
    lines = [
        f"The projection {done.name} is not in force any more; the index {brief(done.index, 255)} stays.",
        f"{done.discarded:,} waiting events were discarded.",
    ]
    if done.id_prefix:
        lines.append(SHARED.format(prefix=brief(done.id_prefix, 100)))
    if done.in_hand:
        lines.append(STILL_HELD.format(events=done.in_hand, seconds=waited))
    return [*lines, f"Audit {done.audit_id}"]
