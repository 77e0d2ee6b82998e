"""What monitoring reads is one line and one bar, whatever the figures and texts hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.cli.check import _line, _summary
from outboxctl.operations.check.figures import CheckedFigure

pytestmark = pytest.mark.no_servers
VALUE = st.none() | st.integers(0, 10**15) | st.floats(0, 1e15)
UNIT = st.sampled_from(["", "s"])
FIGURE = st.builds(CheckedFigure, st.just("drift"), VALUE, VALUE, UNIT, st.text(), st.just("run"))


@given(st.text(), st.lists(FIGURE))
def test_the_first_line_is_one_line_with_figures_after_the_only_bar(
    said: str, found: list[CheckedFigure]
) -> None:
    line = _summary("OK", said, found)
    assert len(line.splitlines()) == 1
    text, *performance = line.split("|")
    assert text.startswith("OUTBOX OK - ")
    assert [len(each.split()) for each in performance] == ([len(found)] if found else [])
    assert "e+" not in "".join(performance)


@given(FIGURE)
def test_a_finding_is_one_line(figure: CheckedFigure) -> None:
    assert len(_line(figure).splitlines()) == 1
    assert "|" not in _line(figure), "monitoring takes what follows for figures"
    assert figure.well or figure.limit is not None
