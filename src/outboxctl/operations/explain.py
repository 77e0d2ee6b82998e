"""`explain`: what a word of outboxctl means, from the same tables as the reference pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path

import outboxctl
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import RULES, Reason
from outboxctl.domain.printable import brief
from outboxctl.domain.reason_texts import NOOP_TEXTS, REASON_TEXTS
from outboxctl.metrics.alerts.queries import AlertLimits, duration
from outboxctl.metrics.alerts.rules import RUNBOOK, Alert, alerts
from outboxctl.metrics.registry import Metrics
from outboxctl.operations.doctor.examination import catalogue
from outboxctl.settings import Settings, env_names, is_secret

DOCS = RUNBOOK.removesuffix("runbook/")
# Prometheus stores these series of one histogram.
SERIES = re.compile(r"_(bucket|count|sum)$")


class WordKind(StrEnum):
    """Where a word stands."""

    REASON = "reason"
    NOOP = "no-op"
    METRIC = "metric"
    ALERT = "alert"
    FINDING = "finding"
    SETTING = "setting"


@dataclass(frozen=True)
class Word:
    """One word: `meaning`, `facts` by name, what to do `first`, its page; commands are in backquotes."""

    name: str
    kind: WordKind
    meaning: str
    docs: str
    facts: dict[str, str] = field(default_factory=dict)
    first: str = ""


def words() -> Iterator[Word]:
    """Every word, kind by kind; those of alerts without their section of the runbook."""
    for read in (_reasons, _noops, _metrics, _alerts, _findings, _settings):
        yield from read()


def names() -> dict[WordKind, list[str]]:
    """The names of each kind."""
    known: dict[WordKind, list[str]] = {kind: [] for kind in WordKind}
    for word in words():
        known[word.kind].append(word.name)
    return known


def find(text: str) -> Word:
    """The word that a person typed, in any case. Raises UsageError with similar ones where there is none."""
    known = {word.name.casefold(): word for word in words()}
    wanted = text.strip().casefold()
    found = known.get(wanted) or known.get(SERIES.sub("", wanted))
    if found:
        return replace(found, meaning=runbook(found.name)) if found.kind is WordKind.ALERT else found
    near = [known[name].name for name in get_close_matches(wanted, known, 3)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`outboxctl explain` lists all words"
    raise UsageError(f"no word of outboxctl: {brief(repr(text), 80)}", hint=hint)


def _reasons() -> Iterator[Word]:
    for reason, text in REASON_TEXTS.items():
        facts = {"what becomes of the event": verdicts(reason)}
        yield Word(
            reason, WordKind.REASON, text.meaning, f"{DOCS}reference/reasons/", facts, first=text.first
        )


def verdicts(reason: Reason) -> str:
    """What an answer with this reason leads to: the verdicts of its rules, each once."""
    found = dict.fromkeys(rule.verdict.value for rule in RULES if rule.reason is reason)
    return ", ".join(found) or "decided without the search engine"


def _noops() -> Iterator[Word]:
    for noop, meaning in NOOP_TEXTS.items():
        yield Word(noop, WordKind.NOOP, meaning, f"{DOCS}reference/reasons/", {"the event is": "done"})


def _metrics() -> Iterator[Word]:
    rules = alerts(AlertLimits())
    for name, kind, labels, meaning in Metrics().families():
        of_it = re.compile(rf"\b{name}(_bucket|_count|_sum)?\b")
        used = dict.fromkeys(alert.name for alert in rules if of_it.search(alert.expr))
        facts = {"type": kind, "labels": ", ".join(labels), "alerts": ", ".join(used)}
        yield Word(name, WordKind.METRIC, f"{meaning}.", f"{DOCS}reference/metrics/", _filled(facts))


def _alerts() -> Iterator[Word]:
    """One word a name: a page and a ticket may share it."""
    by_name: dict[str, list[Alert]] = {}
    for alert in alerts(AlertLimits()):
        by_name.setdefault(alert.name, []).append(alert)
    for name, same in by_name.items():
        rules = {f"{each.severity} after {duration(each.wait)} of": each.expr for each in same}
        address = f"{RUNBOOK}#{same[0].anchor}"
        yield Word(name, WordKind.ALERT, same[0].summary, address, rules, first=same[0].first)


def runbook(alert: str) -> str:
    """The runbook's section of an alert; the page is in the package, in a checkout in docs/."""
    package = Path(outboxctl.__file__).parent
    inside = package / "runbook.md"
    page = inside if inside.exists() else package.parents[1] / "docs" / "runbook.md"
    _, _, below = page.read_text(encoding="utf-8").partition(f"\n## {alert}\n")
    return below.partition("\n## ")[0].strip()


def _findings() -> Iterator[Word]:
    for id_, (end, severity, why) in catalogue().items():
        where = "" if end == "any" else f" --only {end}"
        first = f"`outboxctl doctor{where}` says whether it is so now, and prints the command that fixes it."
        facts = {"examined": end, "severity": severity}
        yield Word(id_, WordKind.FINDING, why, f"{DOCS}reference/findings/", facts, first=first)


def _settings() -> Iterator[Word]:
    first = "`outboxctl config` says which value is in force, and where it came from."
    for name, about in Settings.model_fields.items():
        facts = {"default": default_of(name), "secret": "never printed" if is_secret(name) else ""}
        for variable in env_names(name):
            meaning, page = f"{about.description}.", f"{DOCS}reference/settings/"
            yield Word(variable, WordKind.SETTING, meaning, page, _filled(facts), first=first)


def default_of(field: str) -> str:
    """The default of a setting as a person would write it."""
    about = Settings.model_fields[field]
    if about.default_factory:
        return "host:pid"
    value = about.default.get_secret_value() if hasattr(about.default, "get_secret_value") else about.default
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _filled(facts: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if value}
