"""`python -m benchmarks.labs`: how long the labs take, services included."""

import json
import os
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.command import arguments, write
from benchmarks.report import Section
from benchmarks.servers import say
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.process import OUTBOXCTL

ALL, CORE, IMITATED = ("all", "elasticsearch"), ("core", "elasticsearch"), ("all", "noida")
TARGETS = {ALL: 180.0, CORE: 60.0}
EXPECTED = {ALL: {"OK"}, CORE: {"OK"}, IMITATED: {"OK", "INCONCLUSIVE"}}  # noida cannot show everything
NOTES = """\
- Whole commands, from start to exit: the start of PostgreSQL and of the search engine (two of them, where
  lab 2 is among the labs), the labs side by side, the evidence, and the end of everything.
- Own CPU: `outboxctl lab run` and the workers that it starts, without the servers.
- A run that ends in another verdict than OK (on noida-db: than OK and, where a real engine is needed,
  INCONCLUSIVE) ends this command.
"""


@dataclass(frozen=True)
class LabRun:
    """Seconds of wall clock and of CPU; the versions of the servers."""

    wall: float
    cpu: float
    versions: dict[str, str]


def main() -> None:
    args = arguments("benchmarks.labs", __doc__, {"repeat": (3, "")}).parse_args()
    runs = {which: [_run(*which) for _ in range(args.repeat)] for which in (ALL, CORE, IMITATED)}
    figures = [
        BenchFigure(" on ".join(which), "s", [run.wall for run in some], TARGETS.get(which), digits=1)
        for which, some in runs.items()
    ]
    figures.append(BenchFigure("own CPU of all", "s", [run.cpu for run in runs[ALL]], digits=1))
    load = f"load average {os.getloadavg()[1]:.1f}"
    about = f"Every lab on services of its own, {args.repeat} repetitions, {load}."
    versions = runs[ALL][0].versions
    on = surroundings({"PostgreSQL": versions["postgres"], "search": versions["search"]})
    print(write(Section("Labs", about, figures, NOTES), "benchmarks.labs", vars(args), on))


def _run(labs: str, search: str) -> LabRun:
    with tempfile.TemporaryDirectory() as folder:
        before, began = _children(), perf_counter()
        evidence = Path(folder, "evidence")
        command = [*OUTBOXCTL, "lab", "run", labs, "--search", search, "--evidence", str(evidence)]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        wall, cpu = perf_counter() - began, _children() - before
        report = json.loads((evidence / "report.json").read_text())
    verdicts = {lab["record"]["verdict"] for lab in report["labs"]}
    assert verdicts <= EXPECTED[labs, search], verdicts
    say(f"{labs} on {search}: {wall:.1f} s")
    return LabRun(wall, cpu, report["versions"])


def _children() -> float:
    """CPU seconds of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
