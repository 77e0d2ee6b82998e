"""The reports of `rebuild`."""

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from outboxctl.cli import rendering
from outboxctl.cli.ending import INTERRUPTED
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from outboxctl.core.operator.rebuilds import Rebuild
    from outboxctl.operations.rebuild.model import RebuildReport
    from outboxctl.operations.rebuild.plan import RebuildPlan

FACTS = ("action", "alias", "old_index", "new_index", "concrete", "documents", "entities", "aliases")
SHOWN = ("alias", "old_index", "new_index", "documents", "entities", "aliases")  # of a plan, to people
COMMAND = re.compile(r"`outboxctl (rebuild|index \w+)")
MOST = 10  # refused documents that a person sees; --json has a hundred


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

    def lines() -> "Iterator[object]":
        for line in _result_lines(done):
            yield of_projection(line, projection) if isinstance(line, str) else line

    rendering.show(done, lines, json=json)
    if done.phase == "done" and not any(each.behind for each in done.failures):
        return ExitCode.OK
    return ExitCode.FINDINGS if done.failures else INTERRUPTED


def _result_lines(done: "RebuildReport") -> "Iterator[object]":
    if done.failures:
        rows = [(each.id, each.reason, each.error) for each in done.failures[:MOST]]
        yield rendering.table(f"{done.refused:,} documents refused", ("document", "reason", "error"), rows)
    healed = f", {done.healed:,} repaired" if done.healed else ""
    caught_up = f"{done.caught_up:,} sent again to catch up{healed}"
    counts = f"{done.copied:,} copied, {caught_up}, {rendering.age(done.seconds)}"
    if done.phase == "done":
        yield f"{done.alias} leads to {done.new_index}: {counts}."
        if done.kept_index:
            yield f"{done.kept_index} is kept; back: `outboxctl index rollback`"
            yield f"`outboxctl index cleanup` deletes it after {rendering.cell(done.kept_until)}"
    elif done.phase == "aborted":
        deleted = f"{done.new_index} is deleted, " if done.action == "rebuild" else ""
        yield f"{deleted}{done.alias} was not touched."
        yield "Correct the rows or the mapping, or leave the documents out: --allow-failures"
    else:
        yield f"Stopped in phase {done.phase} of {done.new_index}: {counts}."
        yield "`outboxctl rebuild` goes on, `outboxctl index abort` ends it."


def status(alias: str, rows: "Sequence[Rebuild]", *, running: bool, json: bool) -> None:
    """Show the latest rebuilds of an alias."""
    states = [_state(row, running=running) for row in rows]
    columns = ("started_at", "action", "state", "new_index", "copied")
    cells = [[_text(state[name]) for name in columns] for state in states]
    title = f"Rebuilds of {alias}"
    lines: list[object] = [rendering.table(title, columns, cells) if rows else f"{title}: none"]
    lines += [
        f"{row.kept_index} is kept until {rendering.cell(row.kept_until)}" for row in rows if row.kept_index
    ]
    rendering.show({"alias": alias, "running": running, "rebuilds": states}, lambda: lines, json=json)


def _state(row: "Rebuild", *, running: bool) -> dict[str, Any]:
    """One row for people and machines; a state is the phase, and whether a process works on it."""
    names = ["id", "action", "phase", "old_index", "new_index", "copied", "caught_up", "healed", "refused"]
    names += ["reason", "started_at", "swapped_at", "ended_at", "kept_index", "kept_until"]
    state = row.phase if row.ended_at else f"{row.phase}, {'running' if running else 'interrupted'}"
    return {name: getattr(row, name) for name in names} | {"by": row.operator, "state": state}
