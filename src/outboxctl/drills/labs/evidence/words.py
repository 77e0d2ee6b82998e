"""Headings and labels of the pages, in English and Chinese."""

from outboxctl.drills.labs.evidence.model import RunState
from outboxctl.drills.labs.model import BilingualText, LabPhase, LabVerdict

PHASES_IN_CHINESE = ("准备", "稳态", "注入", "观察", "撤销", "恢复", "检查")
PHASES = {each: BilingualText(each, zh) for each, zh in zip(LabPhase, PHASES_IN_CHINESE, strict=True)}
MEANINGS = {
    LabVerdict.OK: BilingualText("Every hypothesis held.", "所有实验均符合假设。"),
    LabVerdict.INCONCLUSIVE: BilingualText(
        "Nothing was refuted, but not every lab could show what it is about.",
        "没有假设被推翻，但部分实验未能得出结论。",
    ),
    LabVerdict.FAIL: BilingualText(
        "At least one hypothesis was refuted: see the checks below.", "至少一个假设被推翻：见下方检查项。"
    ),
}
STATES = {
    RunState.RUNNING: BilingualText("This run is still under way.", "本次运行仍在进行中。"),
    RunState.INTERRUPTED: BilingualText(
        "This run was interrupted before its end.", "本次运行在结束前被中断。"
    ),
}
PAGE = {
    "title": BilingualText("Lab report", "实验报告"),
    "control": BilingualText("Control run: nothing was broken on purpose.", "对照运行：没有注入任何故障。"),
    "labs": BilingualText("labs", "个实验"),
    "lab": BilingualText("Lab", "实验"),
    "verdict": BilingualText("Verdict", "判定"),
    "question": BilingualText("Question", "目的"),
    "hypothesis": BilingualText("Hypothesis", "预期"),
    "took": BilingualText("Took", "用时"),
    "recovery": BilingualText("Recovery", "恢复用时"),
    "peak_lag": BilingualText("Peak lag", "积压峰值"),
    "oldest": BilingualText("Oldest event", "最老事件"),
    "attempts": BilingualText("Attempts", "尝试次数"),
    "throughput": BilingualText("Done a second", "每秒完成"),
    "status": BilingualText("Events by status", "事件状态分布"),
    "lag": BilingualText("Lag, events", "积压（事件数）"),
    "age": BilingualText("Oldest event, s", "最老事件年龄（秒）"),
    "sum": BilingualText("Attempts in all", "尝试次数（合计）"),
    "pace": BilingualText("Events done a second", "每秒完成事件数"),
    "checks": BilingualText("Checks", "检查"),
    "phase": BilingualText("Phase", "阶段"),
    "check": BilingualText("Check", "检查项"),
    "expected": BilingualText("Expected", "预期"),
    "seen": BilingualText("Seen", "实际"),
    "conclusion": BilingualText("Conclusion", "结论记录"),
    "timeline": BilingualText("What was done, by second", "实验过程（秒）"),
    "snapshots": BilingualText("Snapshots", "DB 快照"),
    "A": BilingualText("before", "故障前"),
    "B": BilingualText("during", "故障中"),
    "C": BilingualText("after", "恢复后"),
    "stuck": BilingualText("stuck", "stuck"),
    "settings": BilingualText("Settings", "参数"),
    "by_hand": BilingualText("By hand", "手工操作"),
    "files": BilingualText("Files", "文件"),
    "versions": BilingualText("Versions", "版本"),
    "fault": BilingualText("fault", "故障"),
    "why": BilingualText("Why", "原因"),
    "no_samples": BilingualText("No samples were taken.", "没有采样数据。"),
    "events": BilingualText("events", "事件"),
}
