"""The built site as its readers see it: on a phone and a desk, by day and by night, and opened from disk.

`SITE_PAGES=all` looks at every page instead of one of each layout, which takes some minutes.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.browser import AXE, BROWSER, ROOT, WIDTHS, chromium, looked_at

pytestmark = [
    pytest.mark.no_servers,
    pytest.mark.slow(reason="builds the whole site and opens it in a browser"),
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here"),
]
# Cards; a picture with tables; blocks of code; a long page; a page of alerts; Chinese; a decision.
LAYOUTS = [
    "index.html",
    "concepts/delivery.html",
    "tutorial.html",
    "reference/settings.html",
    "runbook.html",
    "zh/labs.html",
    "adr/0012-verify-is-exact.html",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make site` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here: npm install --prefix build/axe axe-core")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_has_no_fault_that_axe_finds_and_is_as_wide_as_its_screen(
    site: Path, tmp_path: Path, *, dark: bool
) -> None:
    every = os.environ.get("SITE_PAGES") == "all"
    built = {str(each.relative_to(site)) for each in site.rglob("*.html")}
    # The page of an address that is not there takes its style from where the site is published.
    pages = sorted(built - {"404.html"}) if every else LAYOUTS
    found = looked_at(site, pages, tmp_path, dark=dark, seconds=1200 if every else 150)
    assert not [each for each in found if "error" in each]
    assert len(found) == len(pages) * len(WIDTHS)
    assert {each["scheme"] for each in found} == {"slate" if dark else "default"}
    faults = [each for each in found if each["said"] or each["foreign"] or each["wider"] > 0]
    assert not faults, "\n".join(map(str, faults))


def test_the_search_of_a_page_opened_from_disk_finds_a_word(site: Path, tmp_path: Path) -> None:
    command = chromium(
        tmp_path, "--virtual-time-budget=20000", "--dump-dom", f"file://{site}/index.html?q=tombstone"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    results = re.findall(r'<a href="([^"]+)" class="md-search-result__link"', done.stdout)
    assert any("concepts/versions.html" in each for each in results), results


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    tag = r'<(?:script|img|iframe|source|link(?= [^>]*rel="(?:stylesheet|icon|preload|preconnect)))'
    loads = re.compile(tag + r'[^>]*(?:src|href)="(https?:)?//[^"]+"')
    pages = {page.name: loads.search(page.read_text()) for page in site.rglob("*.html")}
    assert not [(name, found[0]) for name, found in pages.items() if found]
