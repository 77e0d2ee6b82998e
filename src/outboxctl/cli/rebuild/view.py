"""The reports of `rebuild`."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from outboxctl.cli import rendering
from outboxctl.cli.closed_pipe import tolerate_closed_pipe
from outboxctl.domain.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from outboxctl.core.operator.rebuilds import Rebuild
    from outboxctl.operations.rebuild.model import RebuildReport
    from outboxctl.operations.rebuild.plan import RebuildPlan

INTERRUPTED = 130
SAID = ("alias", "old_index", "new_index", "documents", "entities", "aliases")  # of a plan, to people
SHOWN = 10  # refused documents that a person sees; --json has a hundred


@contextmanager
def screen(total: int, *, json: bool) -> "Iterator[tuple[Callable[[str], object], Callable[[int], object]]]":
    """Yields what tells a phase, and what counts its documents: on stderr, as a bar on a terminal."""
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
    """A dry run."""
    facts = _plan(plan)
    if json:
        rendering.emit_json(facts)
        return
    out = rendering.console()
    out.print(f"Would {plan.words} (dry run, nothing changed).")
    if plan.concrete:
        out.print(f"{plan.alias} is an index itself: an alias takes its name.")
    if plan.under_way:
        out.print(f"{plan.under_way.copied:,} documents are copied already.")
    rows = [(name.replace("_", " "), _word(facts[name])) for name in SAID if facts[name] not in (None, [])]
    out.print(rendering.table("Plan", ("what", ""), rows))


def _plan(plan: "RebuildPlan") -> dict[str, Any]:
    names = ("action", "alias", "old_index", "new_index", "concrete", "documents", "entities", "aliases")
    facts = {name: getattr(plan, name) for name in names}
    row = plan.under_way
    return facts | {
        "resumes": row.phase if row else None,
        "copied": row.copied if row else 0,
        "dry_run": True,
    }


def _word(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if type(value) is int else value


def report(done: "RebuildReport", *, json: bool) -> int:
    """What a rebuild came to; returns the exit code."""
    with tolerate_closed_pipe():
        rendering.emit_json(done) if json else _print_result(done)
    if done.phase == "done":
        return ExitCode.OK
    return ExitCode.FINDINGS if done.failures else INTERRUPTED


def _print_result(done: "RebuildReport") -> None:
    out = rendering.console()
    if done.failures:
        rows = [(each.id, each.reason, each.error) for each in done.failures[:SHOWN]]
        out.print(
            rendering.table(f"{done.refused:,} documents refused", ("document", "reason", "error"), rows)
        )
    mended = f", {done.healed:,} mended" if done.healed else ""
    caught_up = f"{done.caught_up:,} sent again to catch up{mended}"
    counts = f"{done.copied:,} copied, {caught_up}, {rendering.age(done.seconds)}"
    if done.phase == "done":
        out.print(f"{done.alias} leads to {done.new_index}: {counts}.")
        if done.kept_index:
            out.print(f"{done.kept_index} is kept; back: `outboxctl rebuild --rollback`")
            out.print("`outboxctl rebuild --cleanup` deletes it after", rendering.cell(done.kept_until))
    elif done.phase == "aborted":
        out.print(f"{done.new_index} is deleted, {done.alias} was not touched.")
        out.print("Mend the rows or the mapping, or go without them: --allow-failures")
    else:
        out.print(f"Stopped in phase {done.phase} of {done.new_index}: {counts}.")
        out.print("`outboxctl rebuild` goes on, `outboxctl rebuild --abort` ends it.")


def aborted(row: "Rebuild", deleted: "Sequence[str]", *, dry_run: bool, json: bool) -> None:
    """What an abort did or would do."""
    if json:
        facts = {"action": row.action, "alias": row.alias, "new_index": row.new_index, "phase": row.phase}
        rendering.emit_json(facts | {"deleted": list(deleted), "dry_run": dry_run})
        return
    what = f"the {row.action} of {row.alias}; deleted: {', '.join(deleted) or 'nothing'}"
    verb = "Would end" if dry_run else "Ended"
    rendering.console().print(f"{verb} {what}. {row.alias} is not touched.")


@tolerate_closed_pipe()
def cleaned(
    alias: str, names: "Sequence[str]", keep: "Mapping[str, str]", *, dry_run: bool, json: bool
) -> None:
    """What a cleanup did or would do, and what it leaves, why."""
    if json:
        rendering.emit_json({"alias": alias, "deleted": list(names), "left": dict(keep), "dry_run": dry_run})
        return
    out = rendering.console()
    verb = "Would delete" if dry_run else "Deleted"
    if names:
        out.print(f"{verb} {', '.join(names)}.")
    for name, why in keep.items():
        out.print(rendering.cell(f"{name} is left: {why}."))
    if not names and not keep:
        out.print("Nothing was kept long enough.")


def status(alias: str, rows: "Sequence[Rebuild]", *, running: bool, json: bool) -> None:
    """The latest rebuilds of an alias."""
    states = [_state(row, running=running) for row in rows]
    if json:
        rendering.emit_json({"alias": alias, "running": running, "rebuilds": states})
        return
    if not rows:
        rendering.console().print(f"Rebuilds of {alias}: none")
        return
    columns = ("started_at", "action", "state", "new_index", "copied")
    cells = [[_word(state[name]) for name in columns] for state in states]
    out = rendering.console()
    out.print(rendering.table(f"Rebuilds of {alias}", columns, cells))
    for row in rows:
        if row.kept_index:
            out.print(f"{row.kept_index} is kept until", rendering.cell(row.kept_until))


def _state(row: "Rebuild", *, running: bool) -> dict[str, Any]:
    """One row for people and machines; a state is the phase, and whether somebody is at it."""
    names = ["id", "action", "phase", "old_index", "new_index", "copied", "caught_up", "healed", "refused"]
    names += ["reason", "started_at", "swapped_at", "ended_at", "kept_index", "kept_until"]
    state = row.phase if row.ended_at else f"{row.phase}, {'running' if running else 'interrupted'}"
    return {name: getattr(row, name) for name in names} | {"by": row.operator, "state": state}
