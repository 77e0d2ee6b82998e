"""A sketch names exactly what only one side has, or says that it cannot."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.core.documents.rows import RowState as State
from outboxctl.operations.verify.sketch import CELLS, Sketch, numbers

pytestmark = pytest.mark.no_servers
MODULUS = 2**61 - 1  # Python's hash of a number is its remainder
VERSIONS = st.integers(0, 2**63 - 1) | st.sampled_from([1, 1 + MODULUS, 1 + 2 * MODULUS])
STATES = st.tuples(
    st.binary(max_size=60),
    st.none() | VERSIONS,
    st.none() | st.binary(max_size=20),
    st.sampled_from([b"", b"r"]),
)


def many(count: int, seed: int = 1) -> list[State]:
    rng = Random(seed)
    return [(f"block:{rng.getrandbits(128):032x}".encode(), 1, rng.randbytes(9), b"") for _ in range(count)]


def remaining(left: list[State], right: list[State], cells: int) -> set[bytes] | None:
    sketch = Sketch(cells)
    for at in range(0, max(len(left), len(right)), 700):  # in turns, as two threads would
        sketch.subtract(numbers(right[at : at + 700]))
        sketch.add(numbers(left[at : at + 700]))
    ids = sketch.remaining()
    assert ids is None or len(ids) == len(set(ids))
    return None if ids is None else set(ids)


@given(st.lists(STATES, max_size=12), st.lists(STATES, max_size=12), st.integers(0, 3))
def test_what_is_named_is_all_that_differs(left: list[State], right: list[State], more: int) -> None:
    both: list[State] = [(b"both", each, b"", b"") for each in range(more)]
    expected = {state[0] for state in {*left, *right} if left.count(state) != right.count(state)}
    assert remaining([*left, *both], [*both, *right], 2**10) in (expected, None)


@pytest.mark.parametrize("differing", [0, 1, 2, 100, 1_000])
def test_a_few_differences_among_many_are_named(differing: int) -> None:
    named = [_named_of(differing, many(20_000, seed)) for seed in (1, 2, 3)]
    # By the hash, whose key is another one in each process, some are left in a ring once in a thousand times.
    assert any(named)


def _named_of(differing: int, everything: list[State]) -> bool:
    """Whether the differences were named; if they were, they must be right."""
    changed: list[State] = [(id_, version, b"other", b"") for id_, version, *_ in everything[:differing]]
    gone = everything[differing : 2 * differing]
    index = [*everything[2 * differing :], *changed]
    Random(2).shuffle(index)
    found = remaining(everything, index, CELLS)
    assert found in ({state[0] for state in [*changed, *gone]}, None)
    return found is not None


@pytest.mark.parametrize("version", [1, 2, 2**60, 2**61])
@pytest.mark.parametrize("apart", [MODULUS, 2 * MODULUS, 3 * MODULUS])
def test_a_version_of_the_same_hash_is_another_version(version: int, apart: int) -> None:
    row, document = (b"id", version, b"{}", b""), (b"id", version + apart, b"{}", b"")
    assert remaining([row], [document], 2**10) == {b"id"}


@pytest.mark.parametrize("count", [60, 600, 20_000])
def test_too_much_is_said_and_not_guessed(count: int) -> None:
    assert remaining(many(count), many(count, seed=2), 2**4) is None


def test_versions_bodies_ids_and_routings_that_are_exchanged_are_named() -> None:
    both: list[State] = [(b"a", 1, b"x", b"r"), (b"b", 2, b"y", b"")]
    exchanged: list[list[State]] = [
        [(b"a", 2, b"x", b"r"), (b"b", 1, b"y", b"")],
        [(b"a", 1, b"y", b"r"), (b"b", 2, b"x", b"")],
        [(b"b", 1, b"x", b"r"), (b"a", 2, b"y", b"")],
        [(b"a", 1, b"x", b""), (b"b", 2, b"y", b"r")],
    ]
    for right in exchanged:
        assert remaining(both, right, 2**10) == {b"a", b"b"}
