"""Whole runs of labs as real commands, each made once for all tests, whichever process asks first."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from outboxctl.drills.labs.catalogue import LABS
from processes import OUTBOXCTL, environment

LONGEST_SECONDS = 900
BROKEN = f"{sys.executable} {Path(__file__).with_name('broken.py')}"
KINDS: Mapping[str, tuple[str, ...]] = {
    "ok": ("--search", "elasticsearch"),
    "ok again": ("--search", "elasticsearch"),
    "imitation": ("--search", "noida"),
    "imitation again": ("--search", "noida"),
    "control": ("--search", "elasticsearch", "--no-fault"),
    "broken": ("--search", "elasticsearch", "--worker", BROKEN),
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
    kept = shared / f"labs {kind}.json"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(asdict(_made(kind, shared))))
        return Outcome(**json.loads(kept.read_text()))


def _made(kind: str, shared: Path) -> Outcome:
    home, evidence = shared / f"home of {kind}", shared / f"evidence of {kind}"
    home.mkdir()
    done = subprocess.run(
        [*OUTBOXCTL, "lab", "run", "all", "--json", "--evidence", str(evidence), *KINDS[kind]],
        env=environment(OUTBOXCTL_STATE=str(home)),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    records = json.loads(done.stdout)["records"] if done.stdout else []
    assert len(records) == len(LABS), done.stderr
    named = {record["lab"]: record for record in records}
    return Outcome(done.returncode, named, done.stderr, str(evidence))
