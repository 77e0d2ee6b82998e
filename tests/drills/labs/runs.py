"""Whole runs of labs as real commands, each made once for all tests, whichever process asks first."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from outboxctl.drills.labs.catalogue import ALL, CLUSTER
from processes import OUTBOXCTL, environment

LONGEST_SECONDS = 900
LONGEST_ON_A_CLUSTER = 3_000
GROUPS = {"all": (ALL, LONGEST_SECONDS), "cluster": (CLUSTER, LONGEST_ON_A_CLUSTER)}
BROKEN = f"{sys.executable} {Path(__file__).with_name('broken.py')}"
KINDS: Mapping[str, tuple[str, ...]] = {
    "ok": ("--search", "elasticsearch"),
    "ok again": ("--search", "elasticsearch"),
    "imitation": ("--search", "noida"),
    "imitation again": ("--search", "noida"),
    "control": ("--search", "elasticsearch", "--no-fault"),
    "broken": ("--search", "elasticsearch", "--worker", BROKEN),
}
ON_A_CLUSTER: Mapping[str, tuple[str, ...]] = {
    "ok": (),
    "control": ("--no-fault",),
    "broken": ("--worker", BROKEN),
}


@dataclass(frozen=True)
class Outcome:
    """What a run of all labs came to; `records` by the lab's name."""

    code: int
    records: dict[str, dict[str, Any]]
    said: str
    evidence: str

    def about(self, lab: str) -> str:
        """Why that lab ended as it did, for the message of a test that fails."""
        unmet = [check for check in self.records[lab]["checks"] if check["verdict"] != "OK"]
        return f"{self.records[lab]['why']}\n{unmet}\n{self.records[lab]['timeline']}"


def outcome(kind: str, shared: Path) -> Outcome:
    """The outcome of that run of all labs; `shared` is a folder that all processes of the tests see."""
    return _once("all", kind, KINDS[kind], shared)


def outcome_on_a_cluster(kind: str, engine: str, shared: Path) -> Outcome:
    """The outcome of that run of the labs of a cluster, of this engine."""
    return _once("cluster", f"{kind} on {engine}", ("--search", engine, *ON_A_CLUSTER[kind]), shared)


def _once(group: str, kind: str, flags: Sequence[str], shared: Path) -> Outcome:
    kept = shared / f"labs {group} {kind}.json"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(asdict(_made(group, kind, flags, shared))))
        return Outcome(**json.loads(kept.read_text()))


def _made(group: str, kind: str, flags: Sequence[str], shared: Path) -> Outcome:
    home, evidence = shared / f"home of {group} {kind}", shared / f"evidence of {group} {kind}"
    home.mkdir()
    labs, seconds = GROUPS[group]
    done = subprocess.run(
        [*OUTBOXCTL, "lab", "run", group, "--json", "--evidence", str(evidence), *flags],
        env=environment(OUTBOXCTL_STATE=str(home)),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    records = json.loads(done.stdout)["records"] if done.stdout else []
    assert len(records) == len(labs), done.stderr
    named = {record["lab"]: record for record in records}
    return Outcome(done.returncode, named, done.stderr, str(evidence))
