"""The page of an overview: Jinja2 with autoescape, one file, no script, nothing from elsewhere (ADR 16)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from outboxctl.cli.rendering import age, cell, distance
from outboxctl.cli.report.bars import BarChart, chart
from outboxctl.cli.status.view import flow, rate
from outboxctl.domain.printable import brief
from outboxctl.operations.report.templates import templates

if TYPE_CHECKING:
    from jinja2 import Environment

    from outboxctl.operations.report.overview import Overview

LONGEST = 240  # characters of any text from outside
ROWS = 50  # of a list: a page of a thousand workers is sent on by nobody
HOUR = ("60 min ago", "45", "30", "15", "now")
DAY = ("24 h ago", "18", "12", "6", "now")
VERDICTS = {"OK": "Nothing is beyond a limit.", "UNKNOWN": "It cannot be told whether all is well."}
ENDS = {"database": "The database cannot be read", "sink": "The sink cannot be reached"}


@dataclass(frozen=True)
class Level:
    """One line of a list of bars: a name, how many, and their share of the most, in percent."""

    name: str
    count: int
    percent: float
    about: bool = False


def page(found: "Overview") -> str:
    """The whole page; texts from outside are cut, cleaned and escaped wherever they are put out."""
    state = found.standing
    return (
        _environment(found.at)
        .get_template("page.html")
        .render(
            found=found,
            verdict=VERDICTS.get(found.state),
            ends=[(title, found.missing[end]) for end, title in ENDS.items() if end in found.missing],
            charts=list(_charts(found)),
            statuses=levels(state.status, state.estimated) if state else [],
            reasons=levels(state.failed_by_reason) if state else [],
            ages=levels({_range(each.within): each.count for each in found.pending_by_age or ()}),
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


def _charts(found: "Overview") -> Iterable[BarChart]:
    if found.delivered:
        yield chart("Last hour, by minute", found.delivered.last_hour, 1, HOUR)
        yield chart("Last day, by quarter of an hour", found.delivered.last_day, 15, DAY)


def _range(within: int | None) -> str:
    if within is None:
        return "longer than a day"
    return {10: "up to 10 s", 60: "up to 1 min", 300: "up to 5 min", 3_600: "up to 1 h"}.get(
        within, "up to a day"
    )


def _environment(now: datetime) -> "Environment":
    environment = templates(__file__, finalize=_harmless)
    environment.filters |= {
        "age": age,
        "rate": rate,
        "moment": lambda moment: cell(moment).plain,
        "from_now": lambda moment: distance(moment, now) or "-",
        "count": "{:,}".format,
        "size": lambda number: f"{number / 2**20:,.0f} MB",
    }
    return environment


def _harmless(value: Any) -> Any:
    """What is put out: markup of ours as it is, text from outside redacted, cut and cleaned."""
    if value is None:
        return "-"
    if isinstance(value, Markup):
        return value
    return brief(value, LONGEST)
