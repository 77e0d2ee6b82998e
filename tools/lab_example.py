"""The example of a run of labs: `make lab-example` for the site, `make lab-page` for the repository.

A run of all labs is 3 MB of evidence: it is built into `build/`, from where the site takes it. The page in
docs/ is that of one lab.
"""

import argparse
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence import load

ROOT = Path(__file__).parents[1]
ALL_LABS = ROOT / "build" / "lab-example"
PART = ALL_LABS.with_name("lab-example.part")  # a run under way, or one in which not all labs were OK
PAGE, ONE = ROOT / "docs" / "labs" / "example" / "report.md", ("kill-and-heal",)
NOTE = "One of the labs, by `make lab-page`. A site that was built after `make lab-example` has them all."


def main() -> int:
    """Make what was asked for; the exit code of `lab run`."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab_example", description=__doc__)
    parser.add_argument("--page", action="store_true", help="the page of one lab, in docs/")
    parser.add_argument("--if-absent", action="store_true", help="all labs, unless that was tried; exits 0")
    given = parser.parse_args()
    if given.page:
        return make_page()
    if given.if_absent and (ALL_LABS.exists() or PART.exists()):
        return 0
    code = make_all()
    if code and given.if_absent:
        hint = "`make lab-example` tries again"
        sys.stderr.write(f"the site has the example of one lab: not all of them were OK here; {hint}\n")
    return 0 if given.if_absent else code


def make_page() -> int:
    """Write the page in docs/ from a run of one lab; not where it is not OK."""
    with TemporaryDirectory() as folder:
        evidence = Path(folder) / "evidence"
        code = _run(ONE, evidence)
        if not code:
            PAGE.write_text(noted((evidence / PAGE.name).read_text(), NOTE))
    return code


def make_all() -> int:
    """Run all labs and keep their evidence for the site; not where one is not OK."""
    for folder in (ALL_LABS, PART):
        shutil.rmtree(folder, ignore_errors=True)
    code = _run(["all"], PART)
    if not code:
        for line in late(PART):
            sys.stderr.write(f"{line}\n")
        PART.rename(ALL_LABS)
    return code


def late(evidence: Path) -> list[str]:
    """Which labs took less than half, or more than twice, of what they announce."""
    announced = {lab.name: lab.seconds + lab.engine_start for lab in LABS}
    took = {lab.name: lab.record.seconds for lab in load(evidence).labs}
    return [
        f"{name} announces {announced[name]:g} s and took {seconds:g} s: change `seconds` of its class"
        for name, seconds in took.items()
        if not seconds / 2 <= announced[name] <= seconds * 2
    ]


def noted(page: str, note: str) -> str:
    """A report with a note below its title."""
    title, _, rest = page.partition("\n\n")
    return f"{title}\n\n{note}\n\n{rest}"


def _run(labs: Sequence[str], evidence: Path) -> int:
    """Run labs; in their evidence this machine is called `host`."""
    command = [sys.executable, "-m", "outboxctl", "lab", "run", *labs, "--evidence", str(evidence)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    own = f'"{socket.gethostname()}"'.encode()
    for file in evidence.rglob("*"):
        if file.is_file() and own in (content := file.read_bytes()):
            file.write_bytes(content.replace(own, b'"host"'))
    return code


if __name__ == "__main__":
    sys.exit(main())
