"""The `_id` of a key, and the key of an `_id`."""

import pytest

from outboxctl.domain.projection import MAX_ID_BYTES, KeyColumn, Projection, Relation, is_hash

pytestmark = pytest.mark.no_servers
ROOT = Relation("shop", "products")
HASHED = "x" * MAX_ID_BYTES


def projection(prefix: str) -> Projection:
    """One with this prefix."""
    return Projection("p", ROOT, (KeyColumn("id", "pg_catalog.text"),), ROOT, "shop", id_prefix=prefix)


@pytest.mark.parametrize("prefix", ["", "product:", 'Ä%"\\', "p" * 100])
@pytest.mark.parametrize("key", ["", "7", "a%3Ab:c", "product:7", "x" * 412, HASHED, HASHED + "x"])
def test_each_id_says_whose_it_is_and_which_key_it_has(prefix: str, key: str) -> None:
    owner = projection(prefix)
    id_ = owner.id_of(key)
    assert id_.startswith(prefix)
    assert len(id_.encode()) <= MAX_ID_BYTES
    found = owner.key_in(id_)
    assert found == key or (found is not None and is_hash(found) and len(key) > owner.longest_key)


def test_an_id_of_another_prefix_is_another_s() -> None:
    assert projection("product:").key_in("review:7") is None
    assert projection("product:").key_in(projection("review:").id_of(HASHED)) is None
