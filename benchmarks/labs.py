"""`python -m benchmarks.labs`: how long the labs take, services included."""

import json
import math
import os
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from benchmarks.command import say, write
from benchmarks.report import Section
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.process import timed

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


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks.labs", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    runs = {which: [_run(*which) for _ in range(args.repeat)] for which in (ALL, CORE, IMITATED)}
    figures = [
        BenchFigure(" on ".join(which), "s", [wall for wall, _, _ in some], TARGETS.get(which), digits=1)
        for which, some in runs.items()
    ]
    figures.append(BenchFigure("own CPU of all", "s", [cpu for _, cpu, _ in runs[ALL]], digits=1))
    load = f"load average {os.getloadavg()[1]:.1f}"
    about = f"Every lab on services of its own, {args.repeat} repetitions, {load}."
    _, _, versions = runs[ALL][0]
    on = {"PostgreSQL": versions["postgres"], "search": versions["search"]}
    write(Section("Labs", about, figures, NOTES), "benchmarks.labs", vars(args), on)


def _run(labs: str, search: str) -> tuple[float, float, dict[str, str]]:
    """Seconds of wall clock and of CPU; the versions of the servers."""
    with tempfile.TemporaryDirectory() as folder:
        evidence = Path(folder, "evidence")
        command = ["lab", "run", labs, "--search", search, "--evidence", str(evidence)]
        wall, cpu, _, _ = timed(command, Path(folder, "lab.log"), None, math.inf)
        report = json.loads((evidence / "report.json").read_text())
    verdicts = {lab["record"]["verdict"] for lab in report["labs"]}
    assert verdicts <= EXPECTED[labs, search], verdicts
    say(f"{labs} on {search}: {wall:.1f} s")
    return wall, cpu, report["versions"]


if __name__ == "__main__":
    main()
