"""Where a document says something else than its source row."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from outboxctl.domain.json_equality import same_json_types


class FieldDifferenceKind(StrEnum):
    """What is wrong with a field of the document."""

    MISSING = "missing"
    DIFFERS = "differs"
    ONLY_THERE = "only there"


@dataclass(frozen=True)
class FieldDifference:
    """One field that is not the same on both sides; None stands for a side that has no such field."""

    field: str
    kind: FieldDifferenceKind
    source: Any
    document: Any


def differences(
    source: Mapping[str, Any] | None, document: Mapping[str, Any] | None
) -> list[FieldDifference]:
    """The fields that differ, in the source row's order; a side that is not there has no fields."""
    here, there = source or {}, document or {}
    return [
        FieldDifference(name, _kind(name, here, there), here.get(name), there.get(name))
        for name in dict.fromkeys((*here, *there))
        if name not in here or name not in there or not _same(here[name], there[name])
    ]


def _same(here: Any, there: Any) -> bool:
    return here == there and same_json_types(here, there)


def _kind(name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> FieldDifferenceKind:
    if name not in there:
        return FieldDifferenceKind.MISSING
    return FieldDifferenceKind.DIFFERS if name in here else FieldDifferenceKind.ONLY_THERE
