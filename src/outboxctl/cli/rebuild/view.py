"""The reports of `rebuild`."""

import re
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from outboxctl.cli import rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from outboxctl.core.operator.rebuilds import Rebuild
    from outboxctl.operations.rebuild.model import RebuildReport
    from outboxctl.operations.rebuild.plan import RebuildPlan

NAMES = ("action", "alias", "phase", "old_index", "new_index", "kept_index", "kept_until")
COUNTS = ("copied", "caught_up", "healed", "refused")
FACTS = ("action", "alias", "old_index", "new_index", "concrete", "entities", "aliases")
SHOWN = ("alias", "old_index", "new_index", "entities", "aliases")  # of a plan, to people
COMMAND = re.compile(r"`outboxctl (rebuild|index \w+)")
MOST, FAILURES = 10, 100  # refused documents that a person sees, and --json has


@contextmanager
def screen(total: int, *, json: bool) -> "Iterator[tuple[Callable[[str], object], Callable[[int], object]]]":
    """Yields what prints a phase, and what counts its documents: on stderr, as a bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    out = rendering.console(stderr=True)
    columns = (BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("", total=total, rate="", visible=False)

        def advance(count: int) -> None:
            bar.update(task, advance=count, rate=f"{bar.tasks[0].speed or 0:,.0f}/s", visible=True)

        def say(text: str) -> None:
            bar.reset(task, visible=False)
            if not json:
                out.print(rendering.cell(text))

        yield say, advance


def plan(plan: "RebuildPlan", *, json: bool) -> None:
    """Show a dry run."""
    facts = {name: getattr(plan, name) for name in FACTS} | {"dry_run": True}
    row = plan.under_way
    facts |= {"resumes": row.phase if row else None, "copied": row.copied if row else 0}
    rendering.show(facts, lambda: _plan_lines(plan, facts), json=json)


def _plan_lines(plan: "RebuildPlan", facts: dict[str, Any]) -> "Iterator[object]":
    yield f"Would {plan.words} (dry run, nothing changed)."
    if plan.concrete:
        yield f"{plan.alias} is an index itself: an alias takes its name."
    if plan.under_way:
        yield f"{plan.under_way.copied:,} documents are copied already."
    rows = [(name.replace("_", " "), _text(facts[name])) for name in SHOWN if facts[name] not in (None, [])]
    yield rendering.table("Plan", ("what", ""), rows)


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if type(value) is int else value


def of_projection(text: str, projection: str | None) -> str:
    """A text with commands to give, which are those for the projection."""
    return COMMAND.sub(rf"\g<0> --projection {projection}", text) if projection else text


def report(done: "RebuildReport", projection: str | None = None, *, json: bool) -> int:
    """Show the result of a rebuild; returns the exit code."""
    row, failures = done.row, [*done.refused.values()][:FAILURES]
    facts = _facts(row) | {"refused": max(row.refused, len(done.refused))}
    facts |= {"failures": [*map(asdict, failures)], "resumed": done.resumed, "seconds": done.seconds}

    def lines() -> "Iterator[object]":
        if failures:
            rows = [(each.id, each.reason, each.error) for each in failures[:MOST]]
            title = f"{facts['refused']:,} documents refused"
            yield rendering.table(title, ("document", "reason", "error"), rows)
        yield from (of_projection(line, projection) for line in _result_lines(row, done.seconds))

    rendering.show(facts, lines, json=json)
    if row.phase == "done" and not any(each.behind for each in failures):
        return ExitCode.OK
    return ExitCode.FINDINGS if failures else INTERRUPTED


def _result_lines(row: "Rebuild", seconds: float) -> "Iterator[str]":
    healed = f", {row.healed:,} repaired" if row.healed else ""
    caught_up = f"{row.caught_up:,} sent again to catch up{healed}"
    counts = f"{row.copied:,} copied, {caught_up}, {rendering.age(seconds)}"
    if row.phase == "done":
        yield f"{row.alias} leads to {row.new_index}: {counts}."
        if row.kept_index:
            yield f"{row.kept_index} is kept; back: `outboxctl index rollback`"
            yield f"`outboxctl index cleanup` deletes it after {rendering.cell(row.kept_until)}"
    elif row.phase == "aborted":
        deleted = f"{row.new_index} is deleted, " if row.action == "rebuild" else ""
        yield f"{deleted}{row.alias} was not touched."
        yield "Correct the rows or the mapping, or leave the documents out: --allow-failures"
    else:
        yield f"Stopped in phase {row.phase} of {row.new_index}: {counts}."
        yield "`outboxctl rebuild` goes on, `outboxctl index abort` ends it."


def status(alias: str, rows: "Sequence[Rebuild]", *, running: bool, json: bool) -> None:
    """Show the latest rebuilds of an alias: the phase of each, and whether a process works on it."""
    states = [_facts(row) | _of_status(row, running=running) for row in rows]
    columns = ("started_at", "action", "state", "new_index", "copied")
    cells = [[_text(state[name]) for name in columns] for state in states]
    title = f"Rebuilds of {alias}"
    lines: list[object] = [rendering.table(title, columns, cells) if rows else f"{title}: none"]
    lines += [
        f"{row.kept_index} is kept until {rendering.cell(row.kept_until)}" for row in rows if row.kept_index
    ]
    rendering.show({"alias": alias, "running": running, "rebuilds": states}, lambda: lines, json=json)


def _of_status(row: "Rebuild", *, running: bool) -> dict[str, Any]:
    state = row.phase if row.ended_at else f"{row.phase}, {'running' if running else 'interrupted'}"
    names = ("id", "reason", "started_at", "swapped_at", "ended_at")
    return {name: getattr(row, name) for name in names} | {"by": row.operator, "state": state}


def _facts(row: "Rebuild") -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*NAMES, *COUNTS)}
