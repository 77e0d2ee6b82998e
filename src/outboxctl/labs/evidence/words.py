"""What the pages say besides the labs' own words, in English and Chinese."""

from outboxctl.labs.evidence.model import State
from outboxctl.labs.model import Phase, Verdict, Words

PHASES = {
    Phase.PREPARE: Words("prepare", "准备"),
    Phase.STEADY: Words("steady state", "稳态"),
    Phase.INJECT: Words("inject", "注入"),
    Phase.OBSERVE: Words("observe", "观察"),
    Phase.UNDO: Words("undo", "撤销"),
    Phase.RECOVER: Words("recover", "恢复"),
    Phase.CHECK: Words("check", "检查"),
}
MEANINGS = {
    Verdict.OK: Words("Every hypothesis held.", "所有实验均符合假设。"),
    Verdict.INCONCLUSIVE: Words(
        "Nothing was refuted, but not every lab could show what it is about.",
        "没有假设被推翻，但部分实验未能得出结论。",
    ),
    Verdict.FAIL: Words(
        "At least one hypothesis was refuted: see the checks below.", "至少一个假设被推翻：见下方检查项。"
    ),
}
STATES = {
    State.RUNNING: Words("This run is still under way.", "本次运行仍在进行中。"),
    State.INTERRUPTED: Words("This run was interrupted before its end.", "本次运行在结束前被中断。"),
}
PAGE = {
    "title": Words("Lab report", "实验报告"),
    "control": Words("Control run: nothing was broken on purpose.", "对照运行：没有注入任何故障。"),
    "labs": Words("labs", "个实验"),
    "lab": Words("Lab", "实验"),
    "verdict": Words("Verdict", "判定"),
    "question": Words("Question", "目的"),
    "hypothesis": Words("Hypothesis", "预期"),
    "took": Words("Took", "用时"),
    "recovery": Words("Recovery", "恢复用时"),
    "peak_lag": Words("Peak lag", "积压峰值"),
    "oldest": Words("Oldest event", "最老事件"),
    "attempts": Words("Attempts", "尝试次数"),
    "throughput": Words("Done a second", "每秒完成"),
    "status": Words("Events by status", "事件状态分布"),
    "lag": Words("Lag, events", "积压（事件数）"),
    "age": Words("Oldest event, s", "最老事件年龄（秒）"),
    "sum": Words("Attempts in all", "尝试次数（合计）"),
    "pace": Words("Events done a second", "每秒完成事件数"),
    "checks": Words("Checks", "检查"),
    "phase": Words("Phase", "阶段"),
    "check": Words("Check", "检查项"),
    "expected": Words("Expected", "预期"),
    "seen": Words("Seen", "实际"),
    "conclusion": Words("Conclusion", "结论记录"),
    "timeline": Words("What was done, by second", "实验过程（秒）"),
    "snapshots": Words("Snapshots", "DB 快照"),
    "A": Words("before", "故障前"),
    "B": Words("during", "故障中"),
    "C": Words("after", "恢复后"),
    "stuck": Words("stuck", "stuck"),
    "settings": Words("Settings", "参数"),
    "by_hand": Words("By hand", "手工操作"),
    "files": Words("Files", "文件"),
    "versions": Words("Versions", "版本"),
    "fault": Words("fault", "故障"),
    "why": Words("Why", "原因"),
    "no_samples": Words("No samples were taken.", "没有采样数据。"),
    "events": Words("events", "事件"),
}
