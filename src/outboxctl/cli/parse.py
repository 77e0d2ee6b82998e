"""Arguments that typer cannot check: each returns the value or raises UsageError naming the flag."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any
from uuid import UUID

import typer

from outboxctl.domain.errors import UsageError
from outboxctl.domain.fingerprints import LENGTH
from outboxctl.domain.index_names import broken_rule
from outboxctl.domain.printable import CONTROL, SURROGATE, brief

UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([wdhms])")
LONGEST = timedelta(days=365 * 100)


def option(flag: str, parser: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Typer's option whose values go through a parser of this module; `more` goes to typer."""
    return typer.Option(flag, parser=_converter(flag, parser, arguments), **more)


def argument(name: str, parser: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """The same for an argument."""
    return typer.Argument(metavar=name, parser=_converter(name, parser, arguments), **more)


def _converter(name: str, parser: Callable[..., Any], arguments: Sequence[Any]) -> Callable[[str], Any]:
    def text(value: str) -> Any:  # its name is that of the type in the help
        return parser(name, value, *arguments)

    return text


def uuid(flag: str, value: str) -> str:
    """A UUID in its usual form."""
    try:
        return str(UUID(value))
    except ValueError:
        raise UsageError(f"{flag}: not a UUID: {brief(repr(value), 80)}") from None


def words(flag: str, value: str, limit: int) -> str:
    """Text of 1 to `limit` characters, not blank, no control characters."""
    if not value.strip():
        raise UsageError(f"{flag} is blank", hint=f"give a few words: {flag} '…'")
    if CONTROL.search(value) or SURROGATE.search(value):
        raise UsageError(f"{flag} holds control characters: {brief(repr(value), 80)}")
    if len(value) > limit:
        raise UsageError(f"{flag} is longer than {limit} characters")
    return value.strip()


def one_of(flag: str, value: str, known: Sequence[str], what: str) -> str:
    """One of a closed set of words; the nearest is suggested."""
    if value in known:
        return value
    near = get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}"
    raise UsageError(f"{flag}: unknown {what} {brief(repr(value), 80)}", hint=hint)


def index_name(flag: str, value: str) -> str:
    """A name that an index or alias may have."""
    if rule := broken_rule(value):
        raise UsageError(f"{flag}: {brief(repr(value), 80)} is not an index name", hint=rule)
    return value


def address(flag: str, value: str) -> str:
    """It becomes a link in a page and in a mail."""
    if not re.fullmatch(r"https?://[^\s]{1,1000}", value) or CONTROL.search(value):
        hint = "it begins with https:// or http://"
        raise UsageError(f"{flag} is no address: {brief(repr(value), 80)}", hint=hint)
    return value


def fingerprint(flag: str, value: str) -> str:
    """A fingerprint, in lower case."""
    if not re.fullmatch(f"[0-9a-fA-F]{{{LENGTH}}}", value):
        hint = f"{LENGTH} hex digits, from `outboxctl failed list`"
        raise UsageError(f"{flag}: not a fingerprint: {brief(repr(value), 80)}", hint=hint)
    return value.lower()


def moment(flag: str, value: str) -> datetime:
    """A point in time in ISO 8601; UTC where no zone is given."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        hint = "for example 2026-02-03T10:00:00+08:00"
        raise UsageError(f"{flag}: not an ISO 8601 time: {brief(repr(value), 80)}", hint=hint) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def duration(flag: str, value: str) -> timedelta:
    """A length of time above zero: `2w`, `7d`, `12h`, `30m`, `90s`."""
    hint = "for example 7d, 12h, 30m or 90s"
    match = DURATION.fullmatch(value)
    if match is None:
        raise UsageError(f"{flag}: not a duration: {brief(repr(value), 80)}", hint=hint)
    try:
        length = timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        length = timedelta.max
    if length > LONGEST:
        raise UsageError(f"{flag} is too long, at most 100 years: {brief(value, 80)}", hint=hint)
    if not length:
        raise UsageError(f"{flag} must be above zero: {brief(value, 80)}", hint=hint)
    return length
