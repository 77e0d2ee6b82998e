"""What comes from rows, answers and logs, made fit to be kept: short, printable, without secrets."""

import math
from dataclasses import asdict
from typing import Any

from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import hides
from outboxctl.drills.labs.evidence.model import adapter
from outboxctl.drills.labs.model import Record
from outboxctl.settings import Settings, env_names, is_secret

LONGEST = 2_000  # characters of one text
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
    fields = (field for field in Settings.model_fields if name in env_names(field))
    field = next(fields, None)
    urls = ("database_url", "elastic_url")  # secrets as a whole, but their masked form says where
    if field is not None:
        return is_secret(field) and field not in urls
    return hides(name.lower())
