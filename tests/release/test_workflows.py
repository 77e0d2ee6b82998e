"""The workflows of GitHub: well-formed, pinned, with no more rights than they need, in step with the code."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
# `on` is a boolean in YAML 1.1: the base loader leaves all scalars text.
FLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.load(path.read_text(), yaml.BaseLoader)  # noqa: S506 - it builds text alone
    for path in (GITHUB / "workflows").glob("*.yml")
}
STEPS = [step for flow in FLOWS.values() for job in flow["jobs"].values() for step in job.get("steps", [])]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.slow(reason="starts a checker for each schema")
@pytest.mark.parametrize(
    ("schema", "files"),
    [
        (
            "github-workflows",
            [*sorted(GITHUB.glob("workflows/*.yml")), ROOT / "docs/labs/ci/github-actions.yml"],
        ),
        ("dependabot", [GITHUB / "dependabot.yml"]),
        ("github-issue-forms", sorted(GITHUB.glob("ISSUE_TEMPLATE/[!c]*.yml"))),
        ("github-issue-config", [GITHUB / "ISSUE_TEMPLATE" / "config.yml"]),
        ("readthedocs", [ROOT / ".readthedocs.yaml"]),
    ],
)
def test_they_have_the_shape_that_their_reader_expects(schema: str, files: list[Path]) -> None:
    check = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [check, "--builtin-schema", f"vendor.{schema}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_a_foreign_action_is_a_commit_with_its_patch_release_beside_it() -> None:
    lines = [line for path in (GITHUB / "workflows").glob("*.yml") for line in path.read_text().splitlines()]
    used = [line for line in lines if re.search(r"uses: [^.]", line)]
    pinned = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\b")
    assert len(used) == sum("uses" in step for step in STEPS)
    assert not [line for line in used if not pinned.search(line)]


def test_the_images_that_an_action_runs_are_named_by_their_digest() -> None:
    """By default these two actions run the latest emulator, as a privileged container, and builder."""
    options = {"setup-qemu": "image", "setup-buildx": "driver-opts"}
    for action, option in options.items():
        (step,) = [each for each in STEPS if f"docker/{action}-action@" in each.get("uses", "")]
        assert re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", step.get("with", {}).get(option, "")), action


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_a_workflow_may_read_and_nothing_else(name: str) -> None:
    assert FLOWS[name]["permissions"] == {"contents": "read"}
    assert "concurrency" in FLOWS[name]


def test_only_the_steps_that_publish_may_write() -> None:
    rights = {job: it["permissions"] for job, it in FLOWS["release"]["jobs"].items() if "permissions" in it}
    assert rights == {
        "pypi": {"id-token": "write"},
        "image": {"contents": "read", "packages": "write"},
        "github": {"contents": "write"},
    }
    jobs = FLOWS["release"]["jobs"]
    assert all(jobs[job]["needs"] == ["test", "build"] for job in ("pypi", "image"))
    assert jobs["github"]["needs"] == ["build", "pypi", "image"], "announced when all of it is there"


def test_every_python_that_the_package_names_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert FLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"] == named


def test_what_they_run_exists() -> None:
    scripts = [line for step in STEPS for line in step.get("run", "").splitlines()]
    called = {word for line in scripts for word in re.findall(r"\bmake ([^|>]*)", line)}
    targets = {word for words in called for word in words.split() if re.fullmatch(r"[a-z][a-z-]*", word)}
    assert targets <= TARGETS
    assert all((ROOT / path).exists() for line in scripts for path in re.findall(r"(?:tests|\.ci)/\S+", line))


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    sections = {"Unreleased": "later", "1.10.0 - 2026-02-01": "ten", "1.1.0 - 2026-01-01": "one"}
    sections |= {"1.0.0 - 2025-12-01": "first", "1.0.0rc1 - 2025-11-01": "candidate"}
    text = [f"## {heading}\n\n- {change}\n" for heading, change in sections.items()]
    (tmp_path / "CHANGELOG.md").write_text("\n".join(text))
    make = ["make", "--silent", "--no-print-directory", "-f", str(ROOT / "Makefile"), "notes"]
    for version, change in {"1.1.0": "one", "1.0.0": "first", "1.0.0rc1": "candidate"}.items():
        notes = [*make, f"VERSION={version}"]
        done = subprocess.run(notes, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["-", change]
    none = subprocess.run([*make, "VERSION=1.2.0"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert none.returncode == 2
    assert "## 1.2.0" in none.stderr
