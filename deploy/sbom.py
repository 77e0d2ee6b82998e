"""A bill of materials (CycloneDX, JSON) of what outboxctl needs to run, extras included: `make sbom`.

Its components are the lock file's entries, hashes included. No resolver is asked: the requirements of the
installed packages say what belongs to what, so it is exact for the platform that it is made on.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ENTRY = re.compile(r"^(?P<name>[\w.-]+)==.*$", re.MULTILINE)
EXTRAS = ("aws", "embedded")


def needed(name: str, extras: Iterable[str]) -> set[str]:
    """Names of everything that a package with these extras needs, itself left out."""
    found: set[str] = set()
    waiting = [(name, frozenset(extras))]
    while waiting:
        for requirement in _of(*waiting.pop()):
            each = canonicalize_name(requirement.name)
            if each not in found:
                found.add(each)
                waiting.append((each, frozenset(requirement.extras)))
    return found


def _of(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in distribution(name).requires or []:
        requirement, ways = Requirement(text), [{"extra": extra} for extra in ("", *extras)]
        if not requirement.marker or any(map(requirement.marker.evaluate, ways)):
            yield requirement


def entries(lock: str, names: set[str]) -> str:
    """Those entries of a lock file, hashes included."""
    kept = [found[0] for found in ENTRY.finditer(lock) if canonicalize_name(found["name"]) in names]
    return "\n".join(kept) + "\n"


def bill(lock: str) -> str:
    """The whole document, at the version that is installed. ValueError where its schema is not kept."""
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        "-",
        "--output-reproducible",
        "--no-validate",
    ]
    command += ["--pyproject", "pyproject.toml", "--mc-type", "application"]
    made = subprocess.run(command, input=lock, capture_output=True, text=True, check=True, timeout=120)
    document = json.loads(made.stdout)
    document["metadata"]["component"]["version"] = distribution("outboxctl").version
    text = json.dumps(document, indent=2)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"not CycloneDX 1.6: {wrong}")
    return text


if __name__ == "__main__":
    whole = entries(Path("requirements.lock").read_text(), needed("outboxctl", EXTRAS))
    sys.stdout.write(bill(whole) + "\n")
