"""Fingerprints of errors: values that differ from event to event are folded, the rest is hashed.

Computed on reading: no column, no cost for the worker, and rows of other tools are grouped too.
"""

import re
from hashlib import blake2b

from outboxctl.domain.redaction import cut

LONGEST = 1_000  # characters of an error that are used: it may be an HTML page
LENGTH = 12  # hex digits of a fingerprint

# An HTTP status and a quoted error type are part of the cause. A quote that is not closed matches to the end:
# the text was cut. An apostrophe (`field's`) opens no quote, and one inside a value ('it's') closes none.
VALUE = re.compile(
    r"""(?P<cause>\A[1-5]\d\d(?=\Z|:|\ [a-z]+_)
        | (?:HTTP(?:/[\d.]+)?\ |status(?:\ code)?[ =:]\ ?|(?:Error|Exception)\()[1-5]\d\d(?![.\w])
        | (?P<quote>['"])[a-z_]+_exception(?P=quote))
    | (?P<URL>https?://[^\s"'`<>()]+)
    | (?P<quoted>"[^"]*(?:"|\Z) | `[^`]*(?:`|\Z) | (?<!\w)'.*?(?:'(?!\w)|\Z))
    | (?P<ID>(?<![\w-])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?!\w)
        | \b(?:0x[0-9a-f]+|(?=[a-f]*\d)[0-9a-f]{8,})\b)
    | (?P<N>\d+(?:[.,:]\d+)*)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)


ORIGIN = re.compile(r"(?: \(from URL\))+\Z")  # which node of a cluster it was is no part of the cause


def fold(error: str | None) -> str:
    """The error on one line with URL, '*', ID and N for its values; HTTP statuses and error types stay."""
    folded = VALUE.sub(_placeholder, " ".join(cut(error or "", LONGEST).split()))
    return ORIGIN.sub("", folded)[:LONGEST]


def _placeholder(match: re.Match[str]) -> str:
    if match["quoted"]:
        return f"{match[0][0]}*{match[0][0]}"
    return match["cause"] or next(name for name in ("URL", "ID", "N") if match[name])


def fingerprint(reason: str | None, error: str | None) -> str:
    """LENGTH hex digits, equal for failures of one reason whose errors fold to the same text."""
    text = f"{reason or ''}\0{fold(error)}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=LENGTH // 2).hexdigest()
