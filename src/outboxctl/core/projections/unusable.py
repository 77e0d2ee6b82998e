"""Rows of the view of which no document can be made: several of one key, or one whose key is empty."""

from collections.abc import Mapping, Sequence

from outboxctl.domain.projection import Projection

SEVERAL = "{view} has more than one row for this key, and a document is one row: correct the view"
EMPTY = "its key is an empty text, and no engine takes an empty _id: give the row another key"


def reasons(
    projection: Projection, keys: Sequence[str], places: Sequence[int], texts: Sequence[str | None]
) -> Mapping[int, str]:
    """Why, by the place of a key from 0; `places` are those of the rows that were read, from 1, in order."""
    if len(places) == len(keys) and "" not in keys:  # the hot path
        return {}
    several = SEVERAL.format(view=projection.document)
    found = {place - 1: several for place, before in zip(places[1:], places, strict=False) if place == before}
    return found | {n: EMPTY for n, key in enumerate(keys) if key == "" and texts[n] is not None}
