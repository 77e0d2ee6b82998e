"""The end of a run of labs: verdicts, what was not met, the document's conclusions, what to do next."""

from pathlib import Path
from typing import TYPE_CHECKING

from outboxctl.cli.lab.screen import COLOURS
from outboxctl.domain.errors import ExitCode
from outboxctl.drills.labs.evidence.words import PHASES
from outboxctl.drills.labs.model import BilingualText

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from outboxctl.drills.labs.model import LabCheck, LabRun, Record

PAGE = "report.html"
CODES = {"OK": ExitCode.OK, "FAIL": ExitCode.FINDINGS, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}
HEADS = {
    "en": ("lab", "verdict", "took", "why"),
    "zh": ("实验", "判定", "用时", "原因"),
}
CHECK_HEADS = {
    "en": ("lab", "phase", "check", "expected", "seen"),
    "zh": ("实验", "阶段", "检查", "预期", "实际"),
}
TITLES = {"en": ("Labs", "Not met", "Conclusion of"), "zh": ("实验", "未满足的检查", "结论：")}
VERDICT, EVIDENCE = BilingualText("Verdict: {}", "判定：{}"), BilingualText("Evidence: {}", "证据：{}")
CHARTS = BilingualText("Charts: {}", "图表：{}")
INTERRUPTED = BilingualText(
    "The run was interrupted: what was broken is undone. Run it again for a verdict.",
    "本次运行被中断：故障已撤销。要得到判定，请重新运行。",
)
CONTROL = BilingualText(
    "A control run: nothing was broken, so INCONCLUSIVE is as it should be.",
    "对照运行：没有注入故障，INCONCLUSIVE 是应有的结果。",
)
LACKING = BilingualText(
    "Did not run, for this place has not what they need: {}", "没有运行，因为这里缺少所需条件：{}"
)
LOOK_AT = BilingualText(
    "Look at {}: the worker's log, the timeline and the snapshots of {}.",
    "查看 {}：{} 的 worker 日志、时间线和快照。",
)
BY_HAND = BilingualText("By hand: outboxctl lab show {}", "手工操作：outboxctl lab show {} --lang zh")
MENDED = BilingualText("Once mended: outboxctl lab run {}", "修复后：outboxctl lab run {}")


def show(run: "LabRun", evidence: Path, lang: str, out: "Console") -> None:
    """Everything that a person wants to know at the end."""
    from outboxctl.cli import rendering

    labs, unmet, conclusion = TITLES[lang]
    records = _listed(run)
    verdicts = rendering.table(labs, HEADS[lang], [_row(record, lang) for record in records])
    _colour(verdicts)
    out.print(verdicts)
    if rows := list(_unmet(records, lang)):
        out.print(rendering.table(unmet, CHECK_HEADS[lang], rows))
    for record in records:
        if record.conclusion:
            out.print(f"{conclusion} {record.lab}", style="bold")
            for line in record.conclusion:
                value = line.zh if lang == "zh" else line.value
                out.print(rendering.cell(f"  {in_language(line.name, lang)}: {value}"), soft_wrap=True)
    out.print()
    out.print(in_language(VERDICT, lang).format(run.verdict), style=COLOURS[run.verdict])
    out.print(in_language(EVIDENCE, lang).format(evidence), soft_wrap=True)
    for hint in _next(run, evidence, lang):
        out.print(hint, soft_wrap=True)


def _listed(run: "LabRun") -> "list[Record]":
    """As `lab list` has them: the document's by their numbers, then the others by name."""
    from outboxctl.cli.lab.catalogue import ordered

    places = {lab.name: place for place, lab in enumerate(ordered())}
    return sorted(run.records, key=lambda record: places.get(record.lab, len(places)))


def in_language(words: "BilingualText", lang: str) -> str:
    """The words in this language."""
    return str(getattr(words, lang))


def _row(record: "Record", lang: str) -> tuple[str, str, str, str]:
    return record.lab, record.verdict, f"{record.seconds:.1f} s", _why(record, lang)


def _why(record: "Record", lang: str) -> str:
    if lang == "en" or record.interrupted:
        return record.why
    broken = next((check for check in record.checks if check.verdict is record.verdict), None)
    return in_language(broken.name, lang) if broken and record.why else ""


def _colour(table: object) -> None:
    from rich.table import Table
    from rich.text import Text

    if isinstance(table, Table):
        for cell in table.columns[1].cells:
            if isinstance(cell, Text):
                cell.style = COLOURS.get(cell.plain, "")


def _unmet(records: "Sequence[Record]", lang: str) -> "Iterator[tuple[str, ...]]":
    for record in records:
        for check in record.checks:
            if check.verdict != "OK":
                yield _unmet_row(record, check, lang)


def _unmet_row(record: "Record", check: "LabCheck", lang: str) -> tuple[str, ...]:
    return (
        record.lab,
        in_language(PHASES[check.phase], lang),
        in_language(check.name, lang),
        check.expected,
        check.seen,
    )


def _next(run: "LabRun", evidence: Path, lang: str) -> "Iterator[str]":
    """Where the charts are, and what to do with this verdict."""
    if (evidence / PAGE).exists():
        yield in_language(CHARTS, lang).format(evidence / PAGE)
    if run.verdict != "OK":
        yield from (in_language(text, lang).format(*values) for text, *values in _advice(run, evidence))


def _advice(run: "LabRun", evidence: Path) -> "Iterator[tuple[BilingualText, *tuple[object, ...]]]":
    bad = [record for record in _listed(run) if record.verdict == run.verdict]
    played = next((record.lab for record in bad if record.phases), None)
    if any(record.interrupted for record in run.records):
        yield (INTERRUPTED,)
    elif not run.faults and run.verdict == "INCONCLUSIVE":
        yield (CONTROL,)
    elif played is None:
        yield LACKING, ", ".join(each.lab for each in bad)
    else:
        yield LOOK_AT, evidence / played, played
        yield BY_HAND, played
        yield MENDED, played
