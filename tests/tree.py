"""The files of this project: those under version control; without Git, all but what is made."""

import subprocess
from fnmatch import fnmatch
from pathlib import Path

from processes import environment

ROOT = Path(__file__).parents[1]


def tracked(*folders: str) -> set[str]:
    """Their paths, in these files and folders or in all."""
    if (ROOT / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z", *folders]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
        )
        return set(filter(None, done.stdout.split("\0")))
    made = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    return {
        path.as_posix()
        for path in (file.relative_to(ROOT) for file in ROOT.rglob("*") if file.is_file())
        if not any(fnmatch(part, name) for part in path.parts for name in made)
        and (not folders or any(path.is_relative_to(folder) for folder in folders))
    }
