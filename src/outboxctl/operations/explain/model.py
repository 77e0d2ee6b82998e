"""A word that an error, a finding, an alert or a metric shows, and what is known of it."""

from dataclasses import dataclass, field
from enum import StrEnum


class WordKind(StrEnum):
    """Where a word stands."""

    REASON = "reason"
    NOOP = "no-op"
    METRIC = "metric"
    ALERT = "alert"
    FINDING = "finding"
    SETTING = "setting"
    EVENT = "event"


@dataclass(frozen=True)
class Word:
    """One word: `meaning` in sentences, `facts` by name, what to do `first`, empty where there is nothing.

    `runbook` is the Markdown of an alert's section; `docs` is the address of the page that lists such words.
    Texts hold commands between backquotes.
    """

    name: str
    kind: WordKind
    meaning: str
    docs: str
    facts: dict[str, str] = field(default_factory=dict)
    first: str = ""
    runbook: str = ""
