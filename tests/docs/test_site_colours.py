"""The site's own colours are there, and can be read on its pages, by day and by night."""

import re

import pytest

from docs.blocks import ROOT

pytestmark = pytest.mark.no_servers
CSS = (ROOT / "docs/assets/site.css").read_text()
READABLE = 4.5  # the contrast that WCAG 2.2 asks of text: https://www.w3.org/TR/WCAG22/#contrast-minimum
PAGE = {"default": "#ffffff", "slate": "#1e2129"}  # of Material for MkDocs
TEXT = ("--md-typeset-a-color", "--md-default-fg-color--light", "--md-default-fg-color--lighter")


def colours(selector: str) -> dict[str, str]:
    """The six-digit colours that a rule of the style sheet sets, by their names."""
    rule = re.search(re.escape(selector) + r"\s*\{(.*?)\}", CSS, re.DOTALL)
    assert rule, selector
    return dict(re.findall(r"(--[\w-]+):\s*(#[0-9a-f]{6})", rule[1]))


def contrast(one: str, other: str) -> float:
    """How much lighter one colour is than the other, from 1 to 21."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("scheme", "page"), PAGE.items())
@pytest.mark.parametrize("name", TEXT)
def test_text_can_be_read(scheme: str, page: str, name: str) -> None:
    assert contrast(colours(f'[data-md-color-scheme="{scheme}"]')[name], page) >= READABLE


def test_the_tabs_can_be_read() -> None:
    head = colours(":root > *")
    assert contrast(head["--md-primary-fg-color"], "#ffffff") >= READABLE


def test_a_link_in_a_text_is_seen_without_its_colour() -> None:
    assert re.search(r"a:not\(\.headerlink\) \{ text-decoration: underline", CSS)
