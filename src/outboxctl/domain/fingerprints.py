"""Fingerprints of errors: values that differ from event to event are folded, the rest is hashed.

Computed on reading: no column, no cost for the worker, and rows of other tools are grouped too.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from string import ascii_letters, digits

from outboxctl.domain.redaction import cut

LONGEST = 1_000  # characters of an error that are used: it may be an HTML page
LENGTH = 12  # hex digits of a fingerprint
SHORTEST = 6  # hex digits that may abbreviate a fingerprint

# An HTTP status is part of the cause, as an error's type is: neither is a value. A status is at the beginning
# (`413`, `429: …`, `400 mapper_parsing_exception: …`) or after a word that announces one; three digits
# anywhere else are a number. The context of a status is the same in the folded text.
FIRST = re.compile(r"([1-5][0-9]{2})(?=\Z|: | (?:[a-z]+_[a-z_]{1,80}|exception)(?:: |\Z))")
ANNOUNCED = re.compile(
    r"(?:HTTP(?:/\w(?:\.\w)?)? |status(?: code)?[ =:] ?|(?:Error|Exception)\()([1-5][0-9]{2})(?![.,:-]?\w)"
)
TYPE = re.compile(r"[a-z_]+_exception")  # as a client's text quotes it: 'mapper_parsing_exception'

# Which node of a cluster it was is no part of the cause.
URL = re.compile(r"""https?://[^\s"'`<>()]{0,200}[^\s"'`<>().,;:]""")
ORIGIN = re.compile(r"(?: \(from URL\))+\Z")

# Values in quotes, one kind of quote after the other: patterns that begin with a literal are fast. An
# apostrophe (`field's`) opens no quote, and one inside a value ('it's') closes none.
Placeholder = str | Callable[[re.Match[str]], str]
QUOTED: tuple[tuple[re.Pattern[str], Placeholder], ...] = (
    (re.compile('"[^"]+"'), '"*"'),
    (re.compile("`[^`]+`"), "`*`"),
    # An unclosed quote matches to the end, once, and is left as it is.
    (re.compile(r"'(?<!\w')[^']+(?:'(?=\w)[^']*)*('|\Z)"), lambda match: "'*'" if match[1] else match[0]),
)
# In a text that was cut the last quote may be unclosed.
OPEN = (
    (re.compile('"[^"]+\\Z'), '"*"'),
    (re.compile("`[^`]+\\Z"), "`*`"),
    (re.compile(r"'(?<!\w')[^']+(?:'(?=\w)[^']*)*\Z"), "'*'"),
)
# A UUID without its first eight digits: a pattern that begins with a literal is five times as fast.
UUID = re.compile(
    r"-(?<=[0-9a-f]{8}-)(?<!\w[0-9a-f]{8}-)[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?!\w)",
    re.IGNORECASE | re.ASCII,
)
WORD = ascii_letters + digits + "_-"
DIGITS = bytes.maketrans(b"123456789", b"000000000")

# A placeholder is a word where the value was one, has no digit and is not longer, so that folding twice
# changes nothing.
PLACEHOLDERS = {"time": "TIME", "id": "ID", "address": "IP", "number": "N"}
# Lookaheads are bounded, or a text like `a-a-a-…` would be read to its end from each position.
VALUE = re.compile(
    r"""(?<!\w)(?=\w)(?:
      (?P<time>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)
    | (?P<id>0x[0-9a-f]+
        | (?=[a-f]*\d)[0-9a-f]{8,}
        | (?=[\w-]{0,63}\d)(?-i:(?=[\w-]{0,63}[a-z])(?=[\w-]{0,63}[A-Z]))\w[\w-]{14,}\w)
    | (?P<address>\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?
        | (?=[a-f:]{0,38}\d)[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}::[0-9a-f:]{0,36}[0-9a-f])
    )(?!\w)
    | (?P<number>\d+(?:[.,]\d+)*)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


# Texts in which a digit or a length counts: an HTTP status may begin them or be announced, an URL is read to
# a length. Of all others the folded text follows from their shape.
NEEDS_ALL = re.compile(r"\A\s*0|://|HTTP|status|(?:Error|Exception)\(|\(from URL\)")


def fold(error: str | None) -> str:
    """The error with quoted values, ids, addresses, URLs, times and numbers as placeholders, on one line.

    Without the node that it came from. HTTP statuses and error types stay. At most LONGEST characters;
    folding the result again changes nothing.
    """
    raw = cut(error or "", LONGEST)
    folded = _fold_shape(_shape(raw)) if len(raw) < LONGEST else None
    return fold_all(raw) if folded is None else folded


def fold_all(raw: str) -> str:
    """The same of a text that was redacted and cut, whatever is in it."""
    text = " ".join(raw.split())
    if "://" in text or text.endswith(" (from URL)"):
        text = ORIGIN.sub("", URL.sub("URL", text))
    text = _fold_quoted(text, was_cut=len(raw) == LONGEST or text.endswith("…"))
    folded, end = "", 0
    for status in _statuses(text):
        folded, end = folded + _fold_values(text[end : status.start(1)]) + status[1], status.end(1)
    return folded + _fold_values(text[end:])


def _fold_quoted(text: str, *, was_cut: bool) -> str:
    types = "_exception'" in text or '_exception"' in text
    for pattern, placeholder in (*QUOTED, *OPEN) if was_cut else QUOTED:
        text = pattern.sub(_but_types(placeholder) if types else placeholder, text)
    return text


def fingerprint(reason: str | None, error: str | None) -> str:
    """LENGTH hex digits, equal for failures of one reason whose errors fold to the same text."""
    return _digest(reason, fold(error))


def _but_types(placeholder: Placeholder) -> Callable[[re.Match[str]], str]:
    """The placeholder for a quoted value, which leaves a quoted error type as it is."""

    def replace(match: re.Match[str]) -> str:
        if TYPE.fullmatch(match[0][1:-1]):
            return match[0]
        return placeholder if isinstance(placeholder, str) else placeholder(match)

    return replace


def _statuses(text: str) -> Iterator[re.Match[str]]:
    """HTTP statuses: group 1 of each match, in the order of the text."""
    if first := FIRST.match(text):
        yield first
    if "HTTP" in text or "status" in text or "Error(" in text or "Exception(" in text:  # ten times as fast
        yield from (match for match in ANNOUNCED.finditer(text) if not _in_a_value(text[: match.start()]))


def _in_a_value(before: str) -> bool:
    """Whether a word with a digit ends here: it may be folded, and what follows would announce nothing."""
    return any(map(str.isdigit, before[len(before.rstrip(WORD)) :]))


def _fold_values(text: str) -> str:
    return _fold_words(_shape(text))


def _shape(text: str) -> str:
    """The text with all digits equal and without UUIDs: what most of a hundred thousand errors share."""
    # On bytes this takes a fifth of the time.
    text = text.encode("utf-8", "surrogatepass").translate(DIGITS).decode("utf-8", "surrogatepass")
    *begun, last = UUID.split(text)
    return PLACEHOLDERS["id"].join([*[part[:-8] for part in begun], last])


@lru_cache(maxsize=4_096)
def _fold_shape(shape: str) -> str | None:
    """What all errors of a shape fold to; None where that depends on more than the shape."""
    if NEEDS_ALL.search(shape):
        return None
    text = " ".join(shape.split())
    return _fold_words(_fold_quoted(text, was_cut=text.endswith("…")))


@lru_cache(maxsize=4_096)
def _fold_words(text: str) -> str:
    return VALUE.sub(lambda match: PLACEHOLDERS[match.lastgroup or ""], text)


@lru_cache(maxsize=4_096)
def _digest(reason: str | None, folded: str) -> str:
    text = f"{reason or ''}\0{folded}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=LENGTH // 2).hexdigest()
