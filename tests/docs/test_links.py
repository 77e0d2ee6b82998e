"""Links of the pages outside `docs/` lead somewhere, and a broken one in `docs/` ends the site's build."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from markdown.extensions.toc import slugify

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")


def anchors(page: Path) -> set[str]:
    """What `#` can lead to on a page."""
    return {slugify(each, "-") for each in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob(".github/*.md")], ids=lambda page: page.name)
def test_links(page: Path) -> None:
    for link, anchor in LINK.findall(page.read_text()):
        target = (page.parent / link) if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


# What is wrong, and the words by which the build names it.
BROKEN = {
    "[a page that is not there](missing.md)": "'missing.md'",
    "[an anchor that another page lacks](index.md#missing)": "'index.md#missing'",
    "[an anchor that this page lacks](#missing)": "'#missing'",
    "[a path from the root](/index.md)": "'/index.md'",
    "[a folder](reference/)": "'reference/'",
    "[a file outside](../README.md)": "'../README.md'",
}


def build(folder: Path, nav: list[str]) -> subprocess.CompletedProcess[str]:
    """What building the site of the pages in `folder/docs` says, under the rules of our own site."""
    rules = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (folder / "mkdocs.yml").write_text(f"{rules}\n{yaml.safe_dump({'nav': nav})}")
    command = [sys.executable, "-m", "mkdocs", "build"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Start\n")
    return tmp_path


def test_a_whole_site_is_built(site: Path) -> None:
    done = build(site, ["index.md"])
    assert done.returncode == 0, done.stderr


def test_the_build_fails_and_names_what_is_broken(site: Path) -> None:
    (site / "docs" / "page.md").write_text("# Page\n\n" + "\n".join(BROKEN))
    (site / "docs" / "unlisted.md").write_text("# No menu leads here\n")
    done = build(site, ["index.md", "page.md", "unwritten.md"])
    assert done.returncode != 0
    names = [*BROKEN.values(), "unlisted.md", "'unwritten.md'"]
    assert not [name for name in names if name not in done.stderr], done.stderr
    assert f"Aborted with {len(names)} warnings" in done.stdout


def test_the_build_fails_where_a_file_to_be_shown_is_missing(site: Path) -> None:
    (site / "docs" / "index.md").write_text('# Start\n\n--8<-- "missing.md"\n')
    assert build(site, ["index.md"]).returncode != 0


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *DOCS.rglob("*.md")], ids=lambda page: page.name)
def test_psql_is_handed_an_address_that_it_reads_and_stops_at_an_error(page: Path) -> None:
    for command in re.findall(r"^(?:outboxctl .*\| )?psql\b.*$", page.read_text(), re.MULTILINE):
        addresses = ('"${DATABASE_URL/+psycopg/}"', "service=owner")
        assert any(f"psql -v ON_ERROR_STOP=1 {address}" in command for address in addresses)
