"""Buckets cover every key exactly once, rows and strangers alike."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.documents.entities import Key, Spread
from outboxctl.operations.verify.buckets import Bucket, buckets

pytestmark = pytest.mark.no_servers
TYPES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=3)
IDS = st.integers(0, 2**128 - 1) | st.integers(0, 40) | st.integers(2**128 - 5, 2**128 - 1)
KEYS = st.builds(Key, TYPES, IDS.map(lambda n: str(UUID(int=n))))


def spread(keys: set[Key], size: int) -> list[Spread]:
    """What the database would say of these rows."""
    types = {key.entity_type for key in keys}
    ids = {kind: sorted(key.entity_id for key in keys if key.entity_type == kind) for kind in types}
    return [Spread(kind, len(some), some[size::size]) for kind, some in ids.items()]


def in_spans(bucket: Bucket, key: Key) -> int:
    return sum(s.entity_type == key.entity_type and s.low <= key.entity_id <= s.high for s in bucket.spans)


@given(st.sets(KEYS, max_size=40), st.integers(2, 10), st.lists(st.builds(Key, TYPES, st.text(max_size=5))))
def test_every_row_is_in_one_bucket_on_both_sides_and_every_stranger_in_one(
    keys: set[Key], size: int, strangers: list[Key]
) -> None:
    made = list(buckets(spread(keys, size), size))
    for key in keys:
        held = [bucket for bucket in made if bucket.holds(key)]
        assert len(held) == 1
        assert [in_spans(bucket, key) for bucket in made if in_spans(bucket, key)] == [1]
        assert in_spans(held[0], key) == 1
    for stranger in strangers:
        assert sum(bucket.holds(stranger) for bucket in made) == 1
    assert sum(bucket.rows for bucket in made) == len(keys)
    assert max(bucket.rows for bucket in made) <= size


def test_a_type_that_the_sink_cannot_be_told_begins_no_bucket() -> None:
    made = list(buckets([Spread("a", 30, []), Spread("\udcff", 30, []), Spread("\udcfe", 30, [])], 30))
    assert [(b.start, b.end, b.rows) for b in made] == [(None, None, 90)]
