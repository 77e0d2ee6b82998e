"""What the site has and the repository has not: a hook of `mkdocs.yml`.

Each of these pages is a file of a few lines in docs/, so that links hold in the repository too, and says
where to see it; the site has the text that is made here.
"""

from functools import cache

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page
from tools import reference


@cache
def built() -> dict[str, str]:
    """Path below docs/ and text of each page that is made for the site."""
    return {path: text for path, text in reference.pages().items() if path in reference.ON_THE_SITE}


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:  # noqa: ARG001 - passed by its name
    """The text of a page that is made; None where it is that of its file."""
    return built().get(page.file.src_uri)
