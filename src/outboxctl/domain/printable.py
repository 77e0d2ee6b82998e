"""Text from outside made safe to print, log and store: short, one line, no control characters."""

import re

# C0 and C1 controls, line and paragraph separators, bidirectional overrides: what can move a
# terminal's cursor, split a log line or reorder what is read.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
SURROGATE = re.compile("[\ud800-\udfff]")
PLAIN = {
    "Input should be": "it must be",
    "a valid boolean": "on or off",
    "a valid integer": "a whole number",
    "a valid number": "a number",
}


def clean(text: str) -> str:
    r"""Escape control characters and lone surrogates visibly (`\x1b`); everything else stays."""
    return SURROGATE.sub(_escape, CONTROL.sub(_escape, text))


def brief(text: object, limit: int = 1_000) -> str:
    """Clean text of at most `limit` characters, an ellipsis where it was cut; cut before cleaning."""
    raw = str(text)
    cut = clean(raw[:limit])
    return cut[: limit - 1] + "…" if len(raw) > limit or len(cut) > limit else cut


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 event`, `2,000 events`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def plain(message: str) -> str:
    """What pydantic says of a bad value, in words for somebody who sets a variable."""
    said = message.removeprefix("Value error, ").split(", unable to")[0]
    for theirs, ours in PLAIN.items():
        said = said.replace(theirs, ours)
    return said


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"  # noqa: PLR2004 - width of the escape
