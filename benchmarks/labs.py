"""How long the labs take, services included: `python -m benchmarks.labs`."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks import report
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.process import OUTBOXCTL

TITLE = "Labs"
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
class Run:
    """Seconds of wall clock and of CPU; the versions that ran."""

    wall: float
    cpu: float
    versions: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labs", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    runs = {which: [_run(*which) for _ in range(repeat)] for which in (ALL, CORE, IMITATED)}
    figures = [
        BenchFigure(_name(which), "s", [run.wall for run in runs[which]], TARGETS.get(which), digits=1)
        for which in runs
    ]
    figures.append(BenchFigure("own CPU of all", "s", [run.cpu for run in runs[ALL]], digits=1))
    about = f"Every lab on services of its own, {repeat} repetitions, load average {os.getloadavg()[1]:.1f}."
    command = f"python -m benchmarks.labs --repeat {repeat}"
    versions = runs[ALL][0].versions
    on = surroundings({"PostgreSQL": versions["postgres"], "search": versions["search"]})
    print(report.write_section(TITLE, command=command, about=about, on=on, figures=figures, notes=NOTES))


def _name(which: tuple[str, str]) -> str:
    return f"{which[0]} on {which[1]}"


def _run(labs: str, search: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        before, began = _children(), perf_counter()
        evidence = Path(folder, "evidence")
        command = [*OUTBOXCTL, "lab", "run", labs, "--search", search, "--evidence", str(evidence)]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        wall, cpu = perf_counter() - began, _children() - before
        found = json.loads((evidence / "report.json").read_text())
    verdicts = {lab["record"]["verdict"] for lab in found["labs"]}
    assert verdicts <= EXPECTED[labs, search], verdicts
    print(f"{labs} on {search}: {wall:.1f} s", file=sys.stderr)
    return Run(wall, cpu, found["versions"])


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
