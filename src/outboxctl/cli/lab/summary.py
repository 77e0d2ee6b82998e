"""The end of a run of labs: verdicts, unmet checks, conclusions, what to do next."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from outboxctl.cli.lab.screen import COLOURS
from outboxctl.domain.errors import ExitCode
from outboxctl.drills.labs.evidence.words import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.table import Table

    from outboxctl.drills.labs.model import LabRun, Record

PAGE = "report.html"
CODES = {"OK": ExitCode.OK, "FAIL": ExitCode.FINDINGS, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}
TEXTS: dict[str, dict[str, Any]] = {
    "en": {
        "labs": "Labs",
        "lab heads": ("lab", "verdict", "took", "why"),
        "unmet": "Not met",
        "unmet heads": ("lab", "phase", "check", "expected", "seen"),
        "conclusion": "Conclusion of {}",
        "verdict": "Verdict: {}",
        "evidence": "Evidence: {}",
        "charts": "Charts: {}",
        "interrupted": "The run was interrupted: all faults are undone. Run it again for a verdict.",
        "control": "A control run: no fault was injected, so INCONCLUSIVE is as it should be.",
        "lacking": "Did not run, for what they need is not here: {}",
        "look at": "Look at {}: the worker's log, the timeline and the snapshots of {}.",
        "others": "Its expectations were written for its own settings; this run had {}. The verdict may "
        "be of the settings, not of the system.",
        "by hand": "By hand: outboxctl lab show {}",
        "again": "Once repaired: outboxctl lab run {}",
    },
    "zh": {
        "labs": "实验",
        "lab heads": ("实验", "判定", "用时", "原因"),
        "unmet": "未满足的检查",
        "unmet heads": ("实验", "阶段", "检查", "预期", "实际"),
        "conclusion": "结论： {}",
        "verdict": "判定：{}",
        "evidence": "证据：{}",
        "charts": "图表：{}",
        "interrupted": "本次运行被中断：故障已撤销。要得到判定，请重新运行。",
        "control": "对照运行：没有注入任何故障，INCONCLUSIVE 是应有的结果。",
        "lacking": "没有运行，因为这里缺少所需条件：{}",
        "look at": "查看 {}：{} 的 worker 日志、时间线和快照。",
        "others": "实验的预期是为它自己的设置写的；本次运行用的是 {}。判定针对的可能是设置，而不是系统。",
        "by hand": "手工操作：outboxctl lab show {} --lang zh",
        "again": "修复后：outboxctl lab run {}",
    },
}


def show(run: "LabRun", evidence: Path, lang: str, out: "Console") -> None:
    """Print verdicts, unmet checks, conclusions, and what to do next."""
    from outboxctl.cli import rendering

    texts, records = TEXTS[lang], _ordered(run)
    rows = [(each.lab, each.verdict, f"{each.seconds:.1f} s", _why(each, lang)) for each in records]
    verdicts = rendering.table(texts["labs"], texts["lab heads"], rows)
    _colour(verdicts)
    out.print(verdicts)
    if unmet := list(_unmet(records, lang)):
        out.print(rendering.table(texts["unmet"], texts["unmet heads"], unmet))
    for record in records:
        _show_conclusion(record, lang, out)
    out.print()
    out.print(texts["verdict"].format(run.verdict), style=COLOURS[run.verdict])
    out.print(texts["evidence"].format(evidence), soft_wrap=True)
    if (evidence / PAGE).exists():
        out.print(texts["charts"].format(evidence / PAGE), soft_wrap=True)
    if run.verdict != "OK":
        for name, *values in _advice(run, records, evidence):
            out.print(texts[name].format(*values), soft_wrap=True)


def _colour(verdicts: "Table") -> None:
    for cell in verdicts.columns[1].cells:
        if isinstance(cell, Text):
            cell.style = COLOURS.get(cell.plain, "")


def _show_conclusion(record: "Record", lang: str, out: "Console") -> None:
    from outboxctl.cli import rendering

    if record.conclusion:
        out.print(TEXTS[lang]["conclusion"].format(record.lab), style="bold")
    for line in record.conclusion:
        value = line.zh if lang == "zh" else line.value
        out.print(rendering.cell(f"  {getattr(line.name, lang)}: {value}"), soft_wrap=True)


def _ordered(run: "LabRun") -> "list[Record]":
    """As `lab list` has them: the document's by their numbers, then the others by name."""
    from outboxctl.cli.lab.catalogue import ordered

    places = {lab.name: place for place, lab in enumerate(ordered())}
    return sorted(run.records, key=lambda record: places.get(record.lab, len(places)))


def _why(record: "Record", lang: str) -> str:
    if lang == "en" or record.interrupted:
        return record.why
    broken = next((check for check in record.checks if check.verdict is record.verdict), None)
    return str(getattr(broken.name, lang)) if broken and record.why else ""


def _unmet(records: "list[Record]", lang: str) -> "Iterator[tuple[str, ...]]":
    for record in records:
        for check in record.checks:
            if check.verdict != "OK":
                phase, name = getattr(PHASES[check.phase], lang), getattr(check.name, lang)
                yield record.lab, phase, name, check.expected, check.seen


def _replaced(record: "Record") -> str:
    """The worker's settings that this run had in place of the lab's own, or of the defaults."""
    from outboxctl.cli.lab.catalogue import ordered

    own = next((lab.settings for lab in ordered() if lab.name == record.lab), {})
    others = {name: value for name, value in record.settings.items() if own.get(name) != value}
    return ", ".join(f"{name}={value}" for name, value in others.items() if name.startswith("OUTBOX_"))


def _advice(run: "LabRun", records: "list[Record]", evidence: Path) -> "Iterator[tuple[Any, ...]]":
    """Names of TEXTS, each with its values: what to do with a verdict that is not OK."""
    bad = [record for record in records if record.verdict == run.verdict]
    played = next((record.lab for record in bad if record.phases), None)
    if any(record.interrupted for record in run.records):
        yield ("interrupted",)
    elif not run.faults and run.verdict == "INCONCLUSIVE":
        yield ("control",)
    elif played is None:
        yield "lacking", ", ".join(each.lab for each in bad)
    else:
        yield "look at", evidence / played, played
        if replaced := _replaced(next(each for each in bad if each.lab == played)):
            yield "others", replaced
        yield "by hand", played
        yield "again", played
