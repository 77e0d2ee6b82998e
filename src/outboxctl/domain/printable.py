"""Foreign text made safe to print, log, store or run: short, one line, no control character, no secret."""

import re
from shlex import quote

from outboxctl.domain.errors import UsageError
from outboxctl.domain.redaction import cut, redact

# The one table of hostile characters: what can move a terminal's cursor, split a log line or reorder what is
# read. C1 controls, line and paragraph separators, and all of Bidi_Control in
# https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt; C0 controls are apart, JSON escapes them itself.
BEYOND_C0 = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
CONTROL = re.compile(f"[\x00-\x1f{BEYOND_C0}]")
HOSTILE_IN_SQL = re.compile(f"[\x00-\x08\x0b-\x1f{BEYOND_C0}]")
RAW_IN_JSON = re.compile(f"[{BEYOND_C0}\ud800-\udfff]")
SURROGATE = re.compile("[\ud800-\udfff]")
PLAIN = {
    "Input should be": "it must be",
    "a valid boolean": "on or off",
    "a valid integer": "a whole number",
    "a valid number": "a number",
}


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL can store a text of an engine: it has no NUL and no lone surrogate."""
    return "\x00" not in text and SURROGATE.search(text) is None


def clean(text: str) -> str:
    r"""Escape control characters and lone surrogates visibly (`\x1b`), hide secrets; the rest stays."""
    return SURROGATE.sub(_escape, CONTROL.sub(_escape, redact(text)))


def clean_json(document: str) -> str:
    r"""A JSON document that shows no hostile character raw (`\u202e`): still valid, and the same data."""
    return RAW_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", document)


def plain_sql(script: str) -> str:
    """SQL for a terminal and psql alike. UsageError where a name or a text in it has a hostile character."""
    if found := HOSTILE_IN_SQL.search(script):
        around = script[max(0, found.start() - 30) : found.end() + 30]
        raise UsageError(
            f"the SQL has a character that cannot be shown: {brief(around)}",
            hint="rename what is called so; in a text of yours write an escape, as U&'\\200F'",
        )
    return script


def brief(text: object, limit: int = 1_000) -> str:
    """Clean text of at most `limit` characters, an ellipsis where it was cut; it is redacted before."""
    beginning = cut(str(text), limit + 1)
    shown = clean(beginning[:limit])
    return shown[: limit - 1] + "…" if len(beginning) > limit or len(shown) > limit else shown


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 event`, `2,000 events`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def plain(message: str) -> str:
    """Pydantic's message for a bad value, in words for the user of a setting."""
    text = message.removeprefix("Value error, ").split(", unable to")[0]
    for pydantics, plainer in PLAIN.items():
        text = text.replace(pydantics, plainer)
    return text


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"  # noqa: PLR2004 - width of the escape


def quoted(text: object) -> str:
    """One word of a POSIX shell, between quotes even where it needs none, as the lab document has it."""
    plain = str(text)
    return quote(plain) if "'" in plain else f"'{plain}'"


def export(name: str, value: object) -> str:
    """The line that sets a variable to this value."""
    return f"export {name}={quoted(value)}"
