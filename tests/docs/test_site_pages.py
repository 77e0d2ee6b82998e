"""What is made for the site: the long pages in full, and the example of all labs where there is one."""

from pathlib import Path
from typing import Any

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from tools import lab_example, reference, site_pages

from drilled import evidence, record
from tree import ROOT

pytestmark = pytest.mark.no_servers
EXAMPLE = "labs/example/report.md"
NAV = ["index.md", EXAMPLE, "results.md", "performance.md"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of a few pages with our hook, built strictly; no example of all labs is there yet."""
    monkeypatch.setattr(lab_example, "ALL_LABS", tmp_path / "all")
    for name in NAV:
        page = tmp_path / "docs" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text((ROOT / "docs" / name).read_text() if name == EXAMPLE else f"# {name}\n\nShort.\n")
    return tmp_path


def built(folder: Path, *, directories: bool = False) -> Path:
    rules: dict[str, Any] = {
        "strict": True,
        "plugins": [],
        "nav": NAV,
        "hooks": [str(ROOT / "tools" / "site_pages.py")],
        "use_directory_urls": directories,
    }
    file = folder / "mkdocs.yml"
    file.write_text("site_name: any\n")
    build(load_config(str(file), site_dir=str(folder / "site"), docs_dir=str(folder / "docs"), **rules))
    return folder / "site"


def test_without_all_labs_the_page_of_one_lab_is_shown(site: Path) -> None:
    made = built(site)
    assert "One of the labs" in (made / "labs/example/report.html").read_text()
    assert not (made / "labs/example/charts.html").exists()


@pytest.mark.parametrize("directories", [True, False])
def test_all_labs_go_over_it_with_their_charts(site: Path, directories: bool) -> None:
    evidence(lab_example.ALL_LABS, record("bad-op"), record("zombie-worker"))
    made = built(site, directories=directories)
    page = (made / "labs/example" / ("report/index.html" if directories else "report.html")).read_text()
    assert "zombie-worker" in page
    assert 'charts.html"' in page
    given = {"charts.html": "report.html", "report.json": "report.json"}
    for name, source in (given | {"bad-op/record.json": "bad-op/record.json"}).items():
        assert (made / "labs/example" / name).read_bytes() == (lab_example.ALL_LABS / source).read_bytes()


def test_the_page_of_results_has_the_figures(site: Path) -> None:
    page = (built(site) / "results.html").read_text()
    assert "Short." not in page
    assert 'id="targets"' in page


@pytest.mark.parametrize("path", [*reference.ON_THE_SITE, "results.md"])
def test_a_page_that_is_made_says_in_the_repository_where_it_is(path: str) -> None:
    text = (ROOT / "docs" / path).read_text()
    assert text.count("\n") <= 5
    assert "The site has this page" in text
    assert site_pages.built()[path].startswith(text.partition("\n")[0])


def test_labs_that_take_another_time_than_they_announce_are_named(tmp_path: Path) -> None:
    took = {"bad-op": 100.0, "kill-and-heal": 18.0}
    folder = evidence(tmp_path / "run", *(record(lab, seconds=seconds) for lab, seconds in took.items()))
    (line,) = lab_example.late(folder)
    assert line.startswith("bad-op announces ")
    assert "took 100 s" in line
