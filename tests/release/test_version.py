"""The version is the nearest tag's, and there is one wherever the sources come from."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from processes import environment

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
ARCHIVAL = (ROOT / ".git_archival.txt").read_text()
AUTHOR = ("-c", "user.name=anyone", "-c", "user.email=anyone@example.org")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of one commit and no tag that builds as this one does."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".git_archival.txt", ".gitattributes"):
        (folder / name).write_text((ROOT / name).read_text())
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, *AUTHOR, "commit", "--quiet", "--message", "first")
    return folder


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, env=environment(), check=True, capture_output=True)


def version(folder: Path, **env: str) -> str:
    """What a wheel or source distribution made there would be called."""
    command = [sys.executable, "-m", "hatchling", "version"]
    done = subprocess.run(
        command, cwd=folder, env=environment(**env), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def archive(clone: Path, target: Path) -> Path:
    """The tree that GitHub's `Source code (tar.gz)` holds."""
    git(clone, "archive", "--output", str(target.with_suffix(".tar")), "HEAD")
    with tarfile.open(target.with_suffix(".tar")) as opened:
        opened.extractall(target, filter="data")
    return target


def test_a_tag_names_the_release_and_the_next_commit_comes_after_it(clone: Path) -> None:
    git(clone, "tag", "v1.2.3")
    assert version(clone) == "1.2.3"
    git(clone, *AUTHOR, "commit", "--quiet", "--allow-empty", "--message", "second")
    assert version(clone).startswith("1.2.4.dev1+g")


def test_a_clone_without_tags_has_a_version_that_no_index_takes(clone: Path) -> None:
    assert version(clone).startswith("0.0.1.dev1+g"), "PyPI refuses versions with a +"


@pytest.mark.skipif("$Format" not in ARCHIVAL, reason="in an archive the commit is written down already")
def test_an_archive_of_a_tag_knows_it(clone: Path, tmp_path: Path) -> None:
    git(clone, "tag", "v1.2.3")
    assert version(archive(clone, tmp_path / "archive")) == "1.2.3"
