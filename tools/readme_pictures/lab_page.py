"""One lab of a report's page as an SVG: the page's own HTML and style sheet, in one theme and language."""

import re

from markupsafe import Markup
from tools.readme_pictures.themes import Theme

from outboxctl.operations.report.svg import document, element

WIDTH, HEIGHT = 940, 640  # pixels: up to the charts; what follows them is left out
DARK = r"@media \(prefers-color-scheme:dark\)\{(:root\{[^}]*\})\}"
MEDIA = re.compile(r"@media [^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
# The page is a picture here: it fills its frame, and its end is cut.
STYLE = """
body{height:100%;overflow:hidden;border:1px solid var(--rule);border-radius:9px}
.card{margin:0;border:0;border-radius:0;height:100%}
"""


def picture(report: str, lab: str, language: str, theme: Theme) -> str:
    """The picture of this lab from the text of a `report.html`; `language` is `en` or `zh`.

    Raises ValueError where the report has no such lab, or is built in another way.
    """
    page = f'<body xmlns="http://www.w3.org/1999/xhtml">{_section(report, lab, language)}</body>'
    place = {"width": WIDTH, "height": HEIGHT}
    foreign = element("foreignObject", Markup(page), **place)
    style = element("style", Markup(f"{_style(report, theme)}{STYLE}"))
    return document(WIDTH, HEIGHT, lab, style, foreign, role="img", **place) + "\n"


def _section(report: str, lab: str, language: str) -> str:
    """The lab's card up to its charts, in one language, as XML."""
    pattern = rf'<section class="card lab" id="{re.escape(lab)}">.*?</section>'
    card = _found(pattern, report).group().partition("<h3>")[0]
    other = {"en": "zh", "zh": "en"}[language]
    card = re.sub(rf'<span class="{other}" lang="{other}">.*?</span>', "", card, flags=re.DOTALL)
    card = card.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return " ".join(card.split()) + "</section>"


def _style(report: str, theme: Theme) -> str:
    """The page's style sheet with the theme's colours, and without what asks for the screen's size."""
    text = _found("<style>(.*?)</style>", report)[1]
    dark = _found(DARK, text)
    plain = MEDIA.sub("", text.replace(dark.group(), ""))
    return " ".join(plain.split()) + (dark[1] if theme.name == "dark" else "")


def _found(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text, re.DOTALL)
    if not found:
        raise ValueError(f"a page without {pattern}")
    return found
