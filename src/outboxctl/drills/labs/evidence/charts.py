"""The charts of a lab's record as SVG: counts over time, with the windows of its faults shaded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from math import ceil

from outboxctl.drills.labs.model import Record, Window

WIDTH, HEIGHT, LEFT, TOP, BELOW = 600, 140, 60, 10, 18  # of the field, and what is around it for labels
MOST_POINTS = 160
STATUSES = ("done", "failed", "processing", "pending")  # from the bottom
SINGLES = {"lag": "Lag, events", "oldest_age": "Oldest event, s", "attempts": "Attempts in all"}


def drawn(record: Record, say: Callable[[str], str]) -> Iterator[str]:
    """HTML: a legend, and a chart each of the statuses, lag, age and attempts; nothing without samples."""
    samples = record.samples[:: ceil(len(record.samples) / MOST_POINTS) or 1]
    if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
        return
    times, looks = [each.at for each in samples], [each.look for each in samples]
    stacked = {
        name: [sum(getattr(look, below) for below in STATUSES[:number]) for look in looks]
        for number, name in enumerate(STATUSES, 1)
    }
    lines = {"Events by status": dict(reversed(stacked.items()))}  # the highest is behind the others
    lines |= {title: {name: [getattr(look, name) for look in looks]} for name, title in SINGLES.items()}
    ends = [window.ended or 0.0 for window in record.windows]
    end = max(record.seconds, times[-1], *ends) or 1.0
    yield _legend(record.windows, say)
    figures = (_figure(say(title), each, times, record.windows, end) for title, each in lines.items())
    yield f'<div class="charts">{"".join(figures)}</div>'


def _legend(windows: Sequence[Window], say: Callable[[str], str]) -> str:
    keys = [(name, name) for name in reversed(STATUSES)]
    for window in windows:
        until = "…" if window.ended is None else f"{window.ended:.1f}"
        keys.append(("window", f"{say('fault')}: {say(window.fault)} ({window.began:.1f}-{until} s)"))
    return (
        f'<div class="legend">{"".join(f"<i class={kind}></i>{escape(text)} " for kind, text in keys)}</div>'
    )


def _figure(
    title: str,
    lines: Mapping[str, Sequence[float]],
    times: Sequence[float],
    windows: Sequence[Window],
    end: float,
) -> str:
    """A chart: an area down to 0 for each line, the windows above them, the marks of both axes."""
    top, base = max(map(max, lines.values())) or 1, TOP + HEIGHT

    def x(second: float) -> int:
        return round(LEFT + second / end * WIDTH)

    def points(values: Sequence[float]) -> str:
        line = [f"{x(at)},{base - value / top * HEIGHT:.1f}" for at, value in zip(times, values, strict=True)]
        return " ".join([f"{x(times[0])},{base}", *line, f"{x(times[-1])},{base}"])

    shapes = [f'<polygon class="{name}" points="{points(values)}"/>' for name, values in lines.items()]
    for window in windows:
        left, right = x(window.began), x(end if window.ended is None else window.ended)
        width = max(2, right - left)
        shapes.append(f'<rect class="window" x="{left}" y="{TOP}" width="{width}" height="{HEIGHT}"/>')
    highest = f"{top:,.1f}".removesuffix(".0")
    marks = ((LEFT - 5, TOP + 10, highest), (LEFT - 5, base, "0"), (LEFT + WIDTH, base + 15, f"{end:.1f} s"))
    shapes += [f'<text x="{at}" y="{y}" text-anchor="end">{text}</text>' for at, y, text in marks]
    box = f'viewBox="0 0 {LEFT + WIDTH + 5} {base + BELOW}"'
    caption = escape(title)
    svg = f'<svg {box} role="img" aria-label="{caption}">{"".join(shapes)}</svg>'
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"
