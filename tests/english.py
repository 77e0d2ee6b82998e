"""English words in texts that ought to be Chinese."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from outboxctl.domain.failures import Reason
from outboxctl.domain.lifecycle import Status
from outboxctl.drills.labs.catalogue import LABS
from outboxctl.drills.labs.model import LabVerdict

CHINESE = re.compile(r"[\u4e00-\u9fff]")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# Names stay as they are: of products, signals, columns and statuses, and the lab document's own terms.
TERMS = """
ES DB SQL Elasticsearch PostgreSQL postgres worker workers sink bulk mapping op lease attempts max backoff id
claim reclaim replay rebuild dry-run upsert delete stuck inject kill retry pid psql ready s C Reclaimed
SIGKILL SIGTERM error_reason Retry-After w1 w2
"""
NAMES = set(TERMS.split())
NAMES |= {str(each) for each in (*Status, *Reason, *LabVerdict)} | {lab.name for lab in LABS}


def strangers(text: str) -> set[str]:
    """English words that are no names."""
    return {word for word in WORD.findall(text) if word not in NAMES and not word.startswith("OUTBOX_")}


class Labels(HTMLParser):
    """The headings, column heads, terms and captions of a page whose English is switched off."""

    TAGS = frozenset({"h1", "h2", "h3", "th", "dt", "summary", "figcaption"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []

    @classmethod
    def of(cls, html: str) -> Iterator[str]:
        parser = cls()
        parser.feed(html)
        return (text for text in parser.found if text.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.TAGS:
            self.found.append("")
        if tag in self.TAGS | {"span"}:
            self._open.append((tag, ("lang", "en") in attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.TAGS | {"span"}:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if any(tag in self.TAGS for tag, _ in self._open) and not any(en for _, en in self._open):
            self.found[-1] += data
