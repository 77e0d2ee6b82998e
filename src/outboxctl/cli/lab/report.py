"""`lab report`: the evidence of a run, and what got worse since another run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.lab.catalogue import Lang, Language
from outboxctl.cli.lab.run_arguments import HOME
from outboxctl.cli.options import Json
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from outboxctl.drills.labs.evidence.compare import Change, RunComparison
    from outboxctl.drills.labs.evidence.model import RunReport

UNITS = {"recovery_seconds": " s", "oldest_age_seconds": " s", "throughput": " events/s"}
FIGURES = {
    "verdict": ("verdict", "判定"),
    "recovery_seconds": ("recovery", "恢复用时"),
    "peak_lag": ("peak lag", "积压峰值"),
    "oldest_age_seconds": ("oldest event", "最老事件"),
    "attempts": ("attempts", "尝试次数"),
    "throughput": ("done after the fault", "故障后完成速率"),
}
TEXTS: dict[str, dict[str, Any]] = {
    "en": {
        "changes": "Changes",
        "heads": ("", "lab", "what", "old", "new", "by"),
        "version": "{}: {}, now {}",
        "gone": "Only in the old run: {}",
        "added": "Only in the new run: {}",
        "mark": ("better", "worse"),
        "result": ("{} compared: nothing got worse.", "{} compared: something got worse."),
    },
    "zh": {
        "changes": "变化",
        "heads": ("", "实验", "项目", "旧", "新", "幅度"),
        "version": "{}：{}，现为 {}",
        "gone": "仅旧运行有：{}",
        "added": "仅新运行有：{}",
        "mark": ("变好", "变差"),
        "result": ("比较了 {} 个实验：没有项目变差。", "比较了 {} 个实验：有项目变差。"),
    },
}


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
    lang: Language = Lang.EN,
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

    result = compare(load(newest(old)), load(newest(new)))
    with tolerate_closed_pipe():
        rendering.emit_json(asdict(result) | {"worse": result.worse}) if json else _differences(result, lang)
    raise typer.Exit(ExitCode.FINDINGS if result.worse else ExitCode.OK)


def _differences(result: "RunComparison", lang: str) -> None:
    from outboxctl.cli import rendering

    out, texts = rendering.console(), TEXTS[lang]
    for name, pair in result.versions.items():
        out.print(rendering.cell(texts["version"].format(name, *pair)))
    if result.changes:
        rows = [_row(change, lang) for change in sorted(result.changes, key=lambda change: not change.worse)]
        out.print(rendering.table(texts["changes"], texts["heads"], rows))
    for name, labs in (("gone", result.gone), ("added", result.added)):
        if labs:
            out.print(rendering.cell(texts[name].format(", ".join(labs))))
    labs_compared = result.compared if lang == "zh" else counted(result.compared, "lab")
    out.print(texts["result"][result.worse].format(labs_compared))


def _row(change: "Change", lang: str) -> tuple[str, ...]:
    mark, what = TEXTS[lang]["mark"][change.worse], FIGURES[change.what][lang == "zh"]
    if isinstance(change.old, str) or isinstance(change.new, str):
        return mark, change.lab, what, str(change.old), str(change.new), ""
    unit = UNITS.get(change.what, "")
    by = f"{(change.new - change.old) / change.old:+.0%}" if change.old else ""
    return mark, change.lab, what, f"{change.old:g}{unit}", f"{change.new:g}{unit}", by
