"""`lab report`: what a run showed, again; and what got worse since another one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.lab.catalogue import Lang
from outboxctl.cli.lab.run_arguments import HOME
from outboxctl.cli.options import Json
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from outboxctl.drills.labs.evidence.compare import Change, RunComparison
    from outboxctl.drills.labs.evidence.model import RunReport

UNITS = {"recovery_seconds": " s", "oldest_age_seconds": " s", "throughput": " events/s"}
NAMES = {
    "verdict": {"en": "verdict", "zh": "判定"},
    "recovery_seconds": {"en": "recovery", "zh": "恢复用时"},
    "peak_lag": {"en": "peak lag", "zh": "积压峰值"},
    "oldest_age_seconds": {"en": "oldest event", "zh": "最老事件"},
    "attempts": {"en": "attempts", "zh": "尝试次数"},
    "throughput": {"en": "done after the fault", "zh": "故障后完成速率"},
}
CHANGES = {"en": "Changes", "zh": "变化"}
HEADS = {"en": ("", "lab", "what", "old", "new", "by"), "zh": ("", "实验", "项目", "旧", "新", "幅度")}
MARKS = {True: {"en": "worse", "zh": "变差"}, False: {"en": "better", "zh": "变好"}}
CHANGED = {"en": "{}: {}, now {}", "zh": "{}：{}，现为 {}"}
GONE, ADDED = (
    {"en": "Only in the old run: {}", "zh": "仅旧运行有：{}"},
    {"en": "Only in the new run: {}", "zh": "仅新运行有：{}"},
)
WORSE, SAME = (
    {"en": "something got worse", "zh": "有项目变差"},
    {"en": "nothing got worse", "zh": "没有项目变差"},
)


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Evidence of a run, or a folder of such: its newest run."),
    ] = HOME,
    html: Annotated[bool, typer.Option("--html", help="Print the path of the page with the charts.")] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="OLD NEW", help="Say what got slower or worse from OLD to NEW."),
    ] = None,
    lang: Annotated[Lang, typer.Option("--lang", help="Language of checks and conclusions.")] = Lang.EN,
    json: Json = False,
) -> None:
    """Show the newest run's evidence; exits as that run did. With --compare: 4 if anything got worse.

    Example: outboxctl lab report

    Example: outboxctl lab report --compare lab-evidence/before lab-evidence/after
    """
    if compare:
        if html or folder != HOME:
            raise UsageError("--compare takes its two folders, and neither FOLDER nor --html")
        _compare(*compare, lang, json=json)
    from outboxctl.drills.labs.evidence import load, newest

    path = newest(folder)
    if html:
        return _page(path)
    _show(load(path), path, lang, json=json)
    return None


def _page(path: Path) -> None:
    from outboxctl.cli.lab.summary import PAGE

    page = path / PAGE
    if not page.exists():
        raise UsageError(f"{path} has no page yet", hint="it is written when the run ends")
    typer.echo(page)


def _show(report: "RunReport", path: Path, lang: str, *, json: bool) -> None:
    from outboxctl.cli import rendering
    from outboxctl.cli.lab.summary import CODES, show
    from outboxctl.drills.labs.evidence.words import STATES
    from outboxctl.drills.labs.model import LabRun

    records = [lab.record for lab in report.labs]
    run = LabRun(report.started_at, report.seconds, report.verdict, report.versions, report.faults, records)
    with tolerate_closed_pipe():
        if json:
            rendering.emit_json(report)
        else:
            out = rendering.console()
            if report.state in STATES:
                out.print(getattr(STATES[report.state], lang))
            show(run, path, lang, out)
    raise typer.Exit(CODES[report.verdict])


def _compare(old: Path, new: Path, lang: str, *, json: bool) -> None:
    from dataclasses import asdict

    from outboxctl.cli import rendering
    from outboxctl.drills.labs.evidence import load, newest
    from outboxctl.drills.labs.evidence.compare import compare

    found = compare(load(newest(old)), load(newest(new)))
    with tolerate_closed_pipe():
        rendering.emit_json(asdict(found) | {"worse": found.worse}) if json else _differences(found, lang)
    raise typer.Exit(ExitCode.FINDINGS if found.worse else ExitCode.OK)


def _differences(found: "RunComparison", lang: str) -> None:
    from outboxctl.cli import rendering

    out = rendering.console()
    for name, pair in found.versions.items():
        out.print(rendering.cell(CHANGED[lang].format(name, *pair)))
    if found.changes:
        rows = [_row(change, lang) for change in sorted(found.changes, key=lambda change: not change.worse)]
        out.print(rendering.table(CHANGES[lang], HEADS[lang], rows))
    for told, labs in ((GONE, found.gone), (ADDED, found.added)):
        if labs:
            out.print(rendering.cell(told[lang].format(", ".join(labs))))
    word = (WORSE if found.worse else SAME)[lang]
    compared = f"{counted(found.compared, 'lab')} compared"
    out.print(f"比较了 {found.compared} 个实验：{word}。" if lang == "zh" else f"{compared}: {word}.")


def _row(change: "Change", lang: str) -> tuple[str, ...]:
    mark, what = MARKS[change.worse][lang], NAMES[change.what][lang]
    if isinstance(change.old, str) or isinstance(change.new, str):
        return mark, change.lab, what, str(change.old), str(change.new), ""
    unit = UNITS.get(change.what, "")
    by = f"{(change.new - change.old) / change.old:+.0%}" if change.old else ""
    return mark, change.lab, what, f"{change.old:g}{unit}", f"{change.new:g}{unit}", by
