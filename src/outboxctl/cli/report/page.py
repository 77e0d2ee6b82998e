"""The page of an overview: Jinja2 with autoescape, one file, no script, nothing from elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from outboxctl.cli.rendering import age, cell, distance
from outboxctl.cli.status.view import flow, rate
from outboxctl.domain.printable import brief
from outboxctl.operations.report.templates import templates

if TYPE_CHECKING:
    from jinja2 import Environment

    from outboxctl.operations.report.overview import Overview

LONGEST = 240  # characters of any text from outside
ROWS = 50  # of a list, so that the page stays short
VERDICTS = {"OK": "Nothing is beyond a limit.", "UNKNOWN": "It is unknown whether all is well."}
ENDS = {"database": "The database cannot be read", "sink": "The search engine is unreachable"}


@dataclass(frozen=True)
class Level:
    """One line of a list of bars: a name, how many, and their share of the most, in percent."""

    name: str
    count: int
    percent: float
    about: bool = False


def page(overview: "Overview") -> str:
    """The whole page; texts from outside are cut, cleaned and escaped."""
    state = overview.standing
    return (
        _environment(overview.at)
        .get_template("page.html")
        .render(
            overview=overview,
            verdict=VERDICTS.get(overview.state),
            ends=[(title, overview.missing[end]) for end, title in ENDS.items() if end in overview.missing],
            statuses=levels(state.status, state.estimated) if state else [],
            reasons=levels(state.failed_by_reason) if state else [],
            flow=flow(state) if state else "",
            rows=ROWS,
        )
    )


def levels(counts: Mapping[str, int], estimated: Iterable[str] = ()) -> list[Level]:
    """Counts as bars: the longest is full, and few are not none."""
    most = max(counts.values(), default=0) or 1
    about = set(estimated)
    return [
        Level(name, count, max(0.5, 100 * count / most) if count else 0, name in about)
        for name, count in counts.items()
    ]


def _environment(now: datetime) -> "Environment":
    environment = templates(__file__, finalize=_harmless)
    environment.filters |= {
        "age": age,
        "rate": rate,
        "moment": lambda moment: cell(moment).plain,
        "from_now": lambda moment: distance(moment, now) or "-",
        "count": "{:,}".format,
    }
    return environment


def _harmless(value: Any) -> Any:
    """A value of the page: own markup as it is, text from outside redacted, cut and cleaned."""
    if value is None:
        return "-"
    if isinstance(value, Markup):
        return value
    return brief(value, LONGEST)
