"""What comes from rows, answers and logs, made fit to be kept: short, printable, without secrets."""

import math
import re
from dataclasses import asdict
from typing import Any

from outboxctl.domain.printable import brief, clean
from outboxctl.drills.labs.evidence.model import adapter
from outboxctl.drills.labs.model import Record
from outboxctl.net.urls import SECRET_WORDS, mask
from outboxctl.settings import Settings, env_names, is_secret

# A scheme has its limit: without one a megabyte of `a.a.a.` takes hours.
URL = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s"'<>]+""")
LONGEST = 2_000  # characters of one text
LOOKED_AT = 50 * LONGEST
LARGEST = 1e15  # rows may claim to be infinitely old
HIDDEN = "***"


def tidy(record: Record) -> Record:
    """A copy that is safe to show anywhere; the metrics, which are long, are left out of it."""
    plain = asdict(record)
    plain["settings"] = shown(record.settings)
    for snapshot in plain["snapshots"]:
        snapshot["metrics"] = {}
    return adapter(Record).validate_python(_value(plain))


def shown(settings: dict[str, str]) -> dict[str, str]:
    """Settings by environment name, secrets hidden."""
    return {name: HIDDEN if _secret(name) and value else value for name, value in settings.items()}


def unmasked(text: str) -> str:
    """The same text, passwords in its URLs masked."""
    return URL.sub(lambda found: mask(found.group()), text)


def line(text: str) -> str:
    """One line of a log."""
    return clean(unmasked(text))


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return type(value)(value) if type(value) is not str else _text(value)
    if isinstance(value, dict):
        return {_text(str(key)): _value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return math.copysign(LARGEST, value)
    return value


def _text(text: str) -> str:
    """Masked before it is cut: half a URL hides its password from the mask."""
    return brief(unmasked(text[:LOOKED_AT]), LONGEST)


def _secret(name: str) -> bool:
    fields = (field for field in Settings.model_fields if name in env_names(field))
    field = next(fields, None)
    urls = ("database_url", "elastic_url")  # secrets as a whole, but their masked form says where
    if field is not None:
        return is_secret(field) and field not in urls
    return any(word in name.lower() for word in SECRET_WORDS)
