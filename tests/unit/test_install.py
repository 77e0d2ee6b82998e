"""What a fresh machine downloads is said before; the demo installs what it needs."""

import re
import tomllib

import pytest
from tools.install import DEVELOPMENT, LOCK, Package, packages
from tools.lock import entries, needed, written

from outboxctl.drills.services.engines import RELEASES
from tree import ROOT

pytestmark = pytest.mark.no_servers
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RESOLVED = """\
own-part==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via
    #   outboxctl (pyproject.toml)
    #   tool
its_part==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:cc
    # via own-part
tool==3.0 \\
    --hash=sha256:dd
    # via outboxctl (pyproject.toml:dev)
"""
OWN = {"dependencies": ["own-part[extra]>=1"], "optional-dependencies": {"embedded": []}}


def test_a_resolution_becomes_a_line_a_package_with_what_the_program_needs_first() -> None:
    locked = entries(RESOLVED)
    program = needed(locked, OWN)
    assert program >= {"own-part", "its_part"}
    text = written(locked, program, {"own-part==1.0": 1234})
    first, _, second = text.partition(DEVELOPMENT)
    assert "own-part==1.0 --hash=sha256:aa --hash=sha256:bb # 1234\n" in first
    assert "its_part==2.0 ; sys_platform == 'win32' --hash=sha256:cc\n" in first
    assert second == "\ntool==3.0 --hash=sha256:dd\n"
    assert packages(first) == [Package("own-part", 1234), Package("its_part", 0)]


def test_the_locked_program_has_each_of_its_dependencies() -> None:
    first, _, second = (ROOT / LOCK).read_text().partition(DEVELOPMENT)
    program = {each.name for each in packages(first)}
    own = PROJECT["project"]
    asked = [*own["dependencies"], *own["optional-dependencies"]["embedded"]]
    asked += PROJECT["build-system"]["requires"]
    assert {re.split(r"[^\w-]", text)[0] for text in asked} <= program
    assert not program & {"pytest", "mypy", "mkdocs-material"}
    assert {"pytest", "mypy", "mkdocs-material"} <= {each.name for each in packages(second)}


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/on-call.md"])
def test_what_a_page_says_of_the_download_is_what_the_program_needs(page: str) -> None:
    program = packages((ROOT / LOCK).read_text().partition(DEVELOPMENT)[0])
    size = round(sum(each.size for each in program) / 1_000_000)
    said = {int(number) for number in re.findall(r"(\d+) MB", (ROOT / page).read_text())}
    assert said - {RELEASES["elasticsearch"].megabytes} == {size}
