"""Failures of one cause fall into one group, whatever ids their errors hold; ids are in order of time."""

from datetime import UTC, datetime
from time import perf_counter
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboxctl.domain.fingerprints import LONGEST, fingerprint, fold
from outboxctl.domain.ids import laid_out

pytestmark = pytest.mark.no_servers
ID = "5b2f0a1e-6b7c-4d8e-9f00-112233445566"


@pytest.mark.parametrize(
    ("error", "folded"),
    [
        (
            f"[1:57] failed to parse field [rank_score] of type [double] in document with id 'block:{ID}'."
            " Preview of field's value: 'it's no number'",
            "[N] failed to parse field [rank_score] of type [double] in document with id '*'."
            " Preview of field's value: '*'",
        ),
        (f"[block:{ID}]: current version [5]", "[block:ID]: current version [N]"),
        ("index [outbox-search-index-000001] blocked", "index [outbox-search-index-N] blocked"),
        ("https://10.0.0.1:9200/x refused 0x7f01a2b3c4", "URL refused ID"),
        ("413", "413"),
        ("429: Too Many Requests", "429: Too Many Requests"),
        (
            "503 unavailable_shards_exception: [i][3] 12 shards",
            "503 unavailable_shards_exception: [i][N] N shards",
        ),
        ("HTTP 502, gateway: took 502 ms", "HTTP 502, gateway: took N ms"),
        (
            "BadRequestError(400, 'mapper_parsing_exception', 'failed to parse 7')",
            "BadRequestError(400, 'mapper_parsing_exception', '*')",
        ),
        ("413 documents were sent", "N documents were sent"),
        ("Preview: 'abc def…", "Preview: '*'"),
        ("  a\n b  ", "a b"),
        (None, ""),
    ],
)
def test_values_are_folded_and_the_status_and_type_of_an_error_stay(error: str | None, folded: str) -> None:
    assert fold(error) == folded


def test_other_causes_are_other_groups() -> None:
    texts = ["no [a] here", "no [b] here", "no here", "", "facade", "413", "502", "HTTP 413", "HTTP 502"]
    assert len({fingerprint("mapping", text) for text in texts}) == len(texts)
    assert fingerprint("mapping", "x") != fingerprint("bad_request", "x") != fingerprint(None, "x")
    assert fingerprint("mapping", None) == fingerprint("mapping", "")
    assert fingerprint("mapping", "[1:57] bad 5") == fingerprint("mapping", "[2:9] bad 66")


@pytest.mark.parametrize(
    "error", ["\ud800 \udcff", "\x00\x1b[31m", "'", "5", "::", "a1-", "A-a-", ' "a', "a:", "0x1f a1 "]
)
def test_a_text_that_an_enemy_chose_is_bounded_and_takes_no_time(error: str) -> None:
    began = perf_counter()
    assert len(fold(error * LONGEST)) <= LONGEST
    assert len(fingerprint("mapping", error)) == 12
    assert perf_counter() - began < 1


MOMENTS = st.integers(0, int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 10**9)
CHANCE = st.integers(0, 2**64 - 1)


@given(MOMENTS, CHANCE)
def test_every_bit_is_where_the_standard_wants_it(nanoseconds: int, chance: int) -> None:
    made = laid_out(nanoseconds, chance)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == nanoseconds // 1_000_000
    assert made.int & (1 << 62) - 1 == chance & (1 << 62) - 1


@given(MOMENTS, st.integers(245, 10**12), CHANCE, CHANCE)
def test_a_quarter_of_a_microsecond_later_is_greater(now: int, later: int, one: int, two: int) -> None:
    assert laid_out(now, one) < laid_out(now + later, two)
