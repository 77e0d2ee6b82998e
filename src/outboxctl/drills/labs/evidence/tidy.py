"""A copy of a record that is safe to show: short and printable, without secrets."""

import math
from dataclasses import asdict
from typing import Any

from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import hides
from outboxctl.drills.labs.evidence.files import adapter
from outboxctl.drills.labs.model import Record
from outboxctl.settings import Settings, env_names, is_secret

LONGEST = 2_000  # characters of one text
LARGEST = 1e15  # rows may claim to be infinitely old
HIDDEN = "***"


def tidy(record: Record) -> Record:
    """The copy; the long metrics are left out."""
    plain = asdict(record)
    for name, value in record.settings.items():
        plain["settings"][name] = HIDDEN if _secret(name) and value else value
    for snapshot in plain["snapshots"]:
        snapshot["metrics"] = {}
    return adapter(Record).validate_python(_value(plain))


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return type(value)(value) if type(value) is not str else brief(value, LONGEST)
    if isinstance(value, dict):
        return {brief(key, LONGEST): _value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return math.copysign(LARGEST, value)
    return value


def _secret(name: str) -> bool:
    field = next((field for field in Settings.model_fields if name in env_names(field)), None)
    if field is None:
        return hides(name.lower())
    # The URLs are secrets as a whole, but their masked form shows the host.
    return is_secret(field) and field not in {"database_url", "elastic_url"}
