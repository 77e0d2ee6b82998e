"""The READMEs' pictures: they are there in both themes, load nothing, and show what the code says today."""

import ast
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tools.readme_pictures import pipeline
from tools.readme_pictures.names import LAB, LONGEST, PICTURES
from tools.readme_pictures.themes import THEMES, Theme

from outboxctl.cli.top.app import Top
from outboxctl.cli.top.screens import Rows
from outboxctl.domain.failures import Reason
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.evidence.charts import STACKED, TITLES
from outboxctl.drills.labs.messages import in_language

pytestmark = pytest.mark.no_servers
ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
SVG = "{http://www.w3.org/2000/svg}"
PICTURE = re.compile(
    r'<picture>\n  <source media="\(prefers-color-scheme: dark\)" srcset="(\S+)-dark\.svg">\n'
    r'  <img src="(\S+)-light\.svg" width="\d+" alt="([^"]+)">\n</picture>'
)
# A picture on a page may run no script, but a browser that opens it alone would; nor may it load anything.
FORBIDDEN = re.compile(
    r"<script|\son\w+=|href=|@import|@font-face|url\((?!#)|<!ENTITY|javascript:", re.IGNORECASE
)
MOST_BYTES, MOST_BYTES_OF_ALL = 150_000, 600_000
DEMO = ROOT / "src" / "outboxctl" / "drills" / "demo"
ALL = [(name, theme) for name in PICTURES for theme in THEMES]
EACH = pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)


def drawn(name: str, theme: Theme) -> ET.Element:
    """A picture's root."""
    return ET.fromstring(theme.file(name).read_text())  # noqa: S314 - a file of ours


@cache
def texts(name: str, theme: Theme) -> list[str]:
    """Every text of a picture, without its style sheet."""
    found = [each.text for each in drawn(name, theme).iter() if each.tag != f"{SVG}style"]
    found += [each.tail for each in drawn(name, theme).iter()]
    return [text.strip() for text in found if text and text.strip()]


def ids(value: object) -> str:
    return value.name if isinstance(value, Theme) else str(value)


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_a_picture_of_a_readme_has_both_themes_and_words_for_who_cannot_see_it(page: Path) -> None:
    text = page.read_text()
    found = PICTURE.findall(text)
    assert len(found) == text.count("<img") == text.count("<picture>") == 4
    for dark, light, said in found:
        assert dark == light
        assert Path(light).name in PICTURES
        assert len(said) > 20
        assert all((ROOT / f"{light}-{theme.name}.svg").is_file() for theme in THEMES)


def test_each_picture_is_shown_somewhere() -> None:
    shown = {
        name for page in READMES for name in re.findall(r"docs/assets/(\S+)-light\.svg", page.read_text())
    }
    assert shown == set(PICTURES)


@pytest.mark.parametrize(("name", "theme"), ALL, ids=ids)
def test_it_is_xml_that_runs_and_loads_nothing(name: str, theme: Theme) -> None:
    text = theme.file(name).read_text()
    assert drawn(name, theme).tag == f"{SVG}svg"
    assert not FORBIDDEN.findall(text)
    assert not set(re.findall(r'https?://[^"<\s]+', text)) - {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
    }
    assert len(text.encode()) < MOST_BYTES


def test_together_they_are_small() -> None:
    assert sum(theme.file(name).stat().st_size for name, theme in ALL) < MOST_BYTES_OF_ALL


def test_what_no_picture_may_hold_is_found() -> None:
    for bad in (
        "<script>",
        '<a href="x">',
        "@import 'x'",
        "url(https://x)",
        '<rect onload="x"/>',
        "@font-face{",
    ):
        assert FORBIDDEN.search(bad), bad
    assert not FORBIDDEN.search('marker-end="url(#end)"')


@pytest.mark.parametrize("name", PICTURES)
def test_both_themes_say_the_same(name: str) -> None:
    light, dark = (texts(name, theme) for theme in THEMES)
    assert light == dark


@EACH
@pytest.mark.parametrize(
    ("name", "words"), [("pipeline", pipeline.ENGLISH), ("pipeline-zh", pipeline.CHINESE)]
)
def test_the_pipeline_is_drawn_as_the_code_draws_it(name: str, words: pipeline.Words, theme: Theme) -> None:
    assert theme.file(name).read_text() == pipeline.picture(words, theme), (
        "run `make pictures PICTURES=pipeline`"
    )


def called(function: str) -> list[str]:
    """The first words that the demo calls this function with, in the order of its files' lines."""
    calls = [
        node
        for path in sorted(DEMO.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and node.args
    ]
    named = [call for call in calls if getattr(call.func, "attr", getattr(call.func, "id", "")) == function]
    return [str(call.args[0].value) for call in named if isinstance(call.args[0], ast.Constant)]


@EACH
def test_the_recording_shows_each_step_and_each_check_of_the_demo(theme: Theme) -> None:
    said = texts("demo", theme)
    assert "make demo" in " ".join(said)
    steps, checks = called("DemoStep"), called("check")
    assert len(steps) > 12
    assert len(checks) > 15
    assert [step for step in steps if step not in said] == []
    assert [check for check in checks if not any(check.startswith(text[:30]) for text in said)] == []
    (agree,) = (re.match(r"(\d+) of (\d+) checks agree", text) for text in said if "checks agree" in text)
    assert agree
    assert agree[1] == agree[2]


@EACH
def test_the_recording_names_no_step_that_the_demo_has_no_longer(theme: Theme) -> None:
    root = drawn("demo", theme)
    bold = {
        each.text for each in root.iter(f"{SVG}text") if each.get("class") == "bold" and each.get("x") == "0"
    }
    assert bold - {"$", "What was seen"} <= set(called("DemoStep"))


@EACH
def test_the_recording_ends_in_a_minute_and_stands_still_for_who_wants_that(theme: Theme) -> None:
    text = theme.file("demo").read_text()
    (seconds,) = re.findall(r"animation: ([\d.]+)s step-end infinite", text)
    assert 20 < float(seconds) <= LONGEST
    assert "@media (prefers-reduced-motion: reduce)" in text


@EACH
def test_top_has_its_columns_its_keys_and_reasons_that_exist(theme: Theme) -> None:
    said = " ".join(texts("top", theme))
    (rows,) = (each for each in Top.compose(None) if isinstance(each, Rows))  # type: ignore[arg-type]
    assert [name for name in rows._names if name not in said] == []
    assert [each.description for each in Top.BINDINGS if each.description not in said] == []  # type: ignore[union-attr]
    assert len({reason for reason in Reason if reason in said}) >= 3
    for bars in ("lag", "in", "out"):
        assert re.search(rf"\b{bars} +[▁-█]{{20}}", said), bars
    assert re.search(r"lag [\d,]+ +oldest .+ stuck \d+ +failed \d+", said)


@EACH
@pytest.mark.parametrize(("name", "language"), [("lab", "en"), ("lab-zh", "zh")])
def test_the_lab_is_told_in_the_words_that_the_code_has(name: str, language: str, theme: Theme) -> None:
    said = texts(name, theme)
    (lab,) = (each for each in LABS if each.name == LAB)
    words = [
        in_language(each, language) for each in (lab.title, lab.question, lab.hypothesis, *TITLES.values())
    ]
    shown = " ".join(said)
    assert [each for each in words if each not in shown] == []
    assert [each for each in (*STACKED, lab.name, "OK") if each not in shown] == []
    assert "FAIL" not in shown
