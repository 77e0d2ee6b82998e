"""The way of a change from the application into the search index, drawn by hand from a table of boxes."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup
from tools.arrows import arrowhead
from tools.readme_pictures.themes import SANS, Theme

from outboxctl.operations.report.svg import document, element

WIDTH, HEIGHT = 900, 222
TOP, TALL = 1, 92  # of the boxes
STYLE = """
text {{ font: 14px {family}; fill: {ink}; text-anchor: middle; }}
.name {{ font-weight: 600; font-size: 15px; }} .soft {{ fill: {soft}; font-size: 13px; }}
.box {{ fill: {surface}; stroke: {line}; stroke-width: 1.5; }}
.ours {{ fill: {accent}; }} .on {{ fill: {on_accent}; }}
.way {{ fill: none; stroke: {soft}; stroke-width: 1.5; }}
"""


@dataclass(frozen=True)
class Words:
    """What the picture says in one language; a box's name and the lines below it."""

    title: str
    application: tuple[str, ...]
    postgres: tuple[str, ...]
    worker: tuple[str, ...]
    engine: tuple[str, ...]
    transaction: tuple[str, ...]
    claim: str
    settle: str
    bulk: str
    answer: str
    desk: tuple[str, ...]


ENGLISH = Words(
    title="A change on its way from the application into the search index",
    application=("Application", "writes its rows", "as it always did"),
    postgres=("PostgreSQL", "your tables, and an", "event for each change"),
    worker=("outboxctl worker", "reads documents,", "retries, or says why not"),
    engine=("Search index", "Elasticsearch", "or OpenSearch"),
    transaction=("one", "transaction"),
    claim="events",
    settle="done or failed",
    bulk="documents",
    answer="each confirmed",
    desk=(
        "outboxctl status, top, failed, replay, verify, rebuild",
        "what happened, and whether both sides agree",
    ),
)
CHINESE = Words(
    title="一次变更从应用到搜索索引的路径",
    application=("应用", "照常写自己的表", ""),
    postgres=("PostgreSQL", "你的表，", "每次变更一条事件"),
    worker=("outboxctl worker", "读出文档，失败重试，", "不行就写明原因"),
    engine=("搜索索引", "Elasticsearch", "或 OpenSearch"),
    transaction=("同一个", "事务"),
    claim="事件",
    settle="done 或 failed",
    bulk="文档",
    answer="逐条确认",
    desk=("outboxctl status、top、failed、replay、verify、rebuild", "发生了什么，两边是否一致"),
)
# Left edge and width of each box.
APPLICATION, POSTGRES, WORKER, ENGINE = (1, 132), (213, 168), (489, 180), (777, 122)


def picture(words: Words, theme: Theme) -> str:
    """The SVG's text."""
    css = STYLE.format(
        family=SANS,
        **{name: getattr(theme, name) for name in ("ink", "soft", "surface", "line", "accent", "on_accent")},
    )
    content = [
        element("style", Markup(css)),
        arrowhead(theme.soft),
        *_box(APPLICATION, words.application),
        *_box(POSTGRES, words.postgres),
        *_box(WORKER, words.worker, ours=True),
        *_box(ENGINE, words.engine),
        *_ways(words),
        *_desk(words),
    ]
    size = {"width": WIDTH, "height": HEIGHT}
    return document(WIDTH, HEIGHT, words.title, *content, role="img", **size) + "\n"


def _box(place: tuple[int, int], said: tuple[str, ...], *, ours: bool = False) -> Iterator[str]:
    left, wide = place
    yield element("rect", class_="box ours" if ours else "box", x=left, y=TOP, width=wide, height=TALL, rx=9)
    for n, line in enumerate(said):
        names = ("name" if n == 0 else "soft") + (" on" if ours else "")
        yield element("text", line, class_=names, x=left + wide / 2, y=TOP + 30 + 22 * n)


def _ways(words: Words) -> Iterator[str]:
    """The arrows between the boxes, with what travels on them."""
    after = [sum(box) + 4 for box in (APPLICATION, POSTGRES, WORKER)]
    before = [box[0] - 4 for box in (POSTGRES, WORKER, ENGINE)]
    middle = TOP + TALL / 2
    yield _arrow(after[0], before[0], middle)
    yield _label(after[0], before[0], middle - 10, words.transaction[0])
    yield _label(after[0], before[0], middle + 22, words.transaction[1])
    for n, (there, back) in enumerate(((words.claim, words.settle), (words.bulk, words.answer)), 1):
        yield _arrow(after[n], before[n], middle - 16)
        yield _arrow(before[n], after[n], middle + 16)
        yield _label(after[n], before[n], middle - 26, there)
        yield _label(after[n], before[n], middle + 36, back)


def _arrow(start: float, end: float, y: float) -> str:
    return element("path", class_="way", d=f"M{start:.0f} {y:.0f}H{end:.0f}", marker_end="url(#end)")


def _label(start: float, end: float, y: float, said: str) -> str:
    return element("text", said, class_="soft", x=(start + end) / 2, y=y)


def _desk(words: Words) -> Iterator[str]:
    """The commands of an operator, which look at both sides."""
    left, right, y = POSTGRES[0] + POSTGRES[1] / 2, ENGINE[0] + ENGINE[1] / 2, TOP + TALL
    yield element("rect", class_="box", x=left, y=y + 56, width=right - left, height=64, rx=9)
    for n, line in enumerate(words.desk):
        names = "soft" if n else "name"
        yield element("text", line, class_=names, x=(left + right) / 2, y=y + 84 + 22 * n)
    for x in (left + 24, right - 24):
        ends = {"marker_start": "url(#end)", "marker_end": "url(#end)"}
        yield element("path", class_="way", d=f"M{x:.0f} {y + 52:.0f}V{y + 4:.0f}", **ends)
