"""Ask PyPI for known flaws of everything in a lock file, and say what could not be asked: `make audit`.

Exit codes: 0 no flaw is known, with a warning where something could not be asked; 1 a flaw, or no audit at
all; 3 something could not be asked and `--must-ask` was given, as a release does.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# An entry with its hashes; its marker is left out, as nothing is installed: other platforms' are asked, too.
ENTRY = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)[^#\n]*?(?P<hashes>(?: --hash=\S+)*)(?: #.*)?$", re.M
)
OPTIONS = ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", "--desc=off"]
# What pip-audit ends with where the index is away; anything else is an error of its own or of the lock file.
AWAY = re.compile(r"requests\.exceptions\.|ConnectionError|ServiceError|[Cc]ould not connect|not redirecting")
FLAW, UNASKED = 1, 3
LONGEST = 300  # characters of an error
Answers = dict[tuple[str, str], dict[str, Any]]  # what pip-audit reports, by name and version


def main() -> int:
    """Print flaws on stdout, and what was not asked on stderr."""
    parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    parser.add_argument("lock", nargs="?", type=Path, default=Path("requirements.lock"))
    parser.add_argument("--must-ask", action="store_true", help="fail if anything could not be asked")
    given = parser.parse_args()
    entries = [
        (found["name"], found["version"], found[0]) for found in ENTRY.finditer(given.lock.read_text())
    ]
    if not entries:
        raise SystemExit(f"audit: no entries in {given.lock}")
    answers, why = ask(entries)
    flaws = [_said(each, flaw) for each in answers.values() for flaw in each.get("vulns", ())]
    unasked = [text for name, version, _ in entries if (text := _unasked(name, version, answers))]
    none = f"no flaw is known of {len(entries) - len(unasked)} of {len(entries)} packages"
    sys.stdout.write("\n".join(flaws or [none]) + "\n")
    _tell(unasked, why, must=given.must_ask)
    return FLAW if flaws else UNASKED if unasked and given.must_ask else 0


def ask(entries: list[tuple[str, str, str]]) -> tuple[Answers, str]:
    """What is reported of each entry, and why nothing was. Two versions of a package are two questions."""
    rounds: dict[int, list[str]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    for name, version, text in entries:
        hashes = ENTRY.sub(r"\g<hashes>", text)
        rounds[seen[name]].append(f"{name}=={version} {hashes}")
        seen[name] += 1
    answers: Answers = {}
    why = ""
    for texts in rounds.values():
        found, reason = _ask("\n".join(texts) + "\n")
        answers |= {(each["name"], each.get("version", "")): each for each in found}
        why = why or reason
    return answers, why


def _ask(lock: str) -> tuple[list[dict[str, Any]], str]:
    """The report of one run, and why there is none. SystemExit for what is no outage."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text(lock)
        command = [sys.executable, "-m", "pip_audit", *OPTIONS, f"--requirement={file}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stdout.strip():
        return json.loads(done.stdout)["dependencies"], ""
    why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:LONGEST]
    if not AWAY.search(done.stderr):
        raise SystemExit(f"audit: pip-audit failed: {why}")
    return [], why


def _said(package: dict[str, Any], flaw: dict[str, Any]) -> str:
    mended = ", ".join(flaw["fix_versions"]) or "no version"
    names = ", ".join([flaw["id"], *flaw["aliases"]])
    return f"{package['name']} {package['version']}: {names}; mended in {mended}"


def _unasked(name: str, version: str, answers: Answers) -> str:
    """The entry and why there is no answer; nothing where there is one. A skipped one has no version."""
    if "vulns" in answers.get((name, version), {}):
        return ""
    return f"{name}=={version}: {answers.get((name, ''), {}).get('skip_reason', 'no answer')}"


def _tell(unasked: list[str], why: str, *, must: bool) -> None:
    if unasked:
        because = f" ({why})" if why else ""
        head = f"audit: {'error' if must else 'warning'}: of {len(unasked)} nothing could be asked{because}"
        sys.stderr.write("\n  ".join([head, *unasked]) + "\n")


if __name__ == "__main__":
    sys.exit(main())
