"""What is made for the site: the long pages in full."""

import pytest
from tools import reference, site_pages

from tree import ROOT

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize("path", reference.ON_THE_SITE)
def test_a_page_that_is_made_says_in_the_repository_where_it_is(path: str) -> None:
    text = (ROOT / "docs" / path).read_text()
    assert text.count("\n") <= 5
    assert "The site has this page" in text
    assert site_pages.built()[path].startswith(text.partition("\n")[0])
