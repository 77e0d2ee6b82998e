"""Failures of one cause fall into one group, whatever ids and values their errors hold."""

import re
from random import Random
from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outboxctl.domain.fingerprints import LONGEST, fingerprint, fold, fold_all

pytestmark = pytest.mark.no_servers

# What the parts of errors look like: words, and values of each kind, made from a seed.
WORDS = [
    "failed",
    "to",
    "parse",
    "field [rank_score]",
    "it's",
    "value:",
    "(caused",
    "by)",
    "[/nope]",
    "-",
    "中文",
]
HEX = "0123456789abcdef"


def _hex(random: Random, length: int) -> str:
    return "1" + "".join(random.choice(HEX) for _ in range(length - 1))


VALUES = {
    "number": lambda r: str(r.randrange(10**7)),
    "id": lambda r: str(r.randrange(10**7, 10**9)),  # from eight digits on it may be one
    "decimal": lambda r: f"{r.randrange(100)}.{r.randrange(100)}",
    "uuid": lambda r: "-".join(_hex(r, n) for n in (8, 4, 4, 4, 12)),
    "sha": lambda r: _hex(r, 40),
    "pointer": lambda r: f"0x{_hex(r, 12)}",
    "node": lambda r: f"oT{r.randrange(10)}kZZ_-{''.join(r.choice('abXY59') for _ in range(14))}a",
    "time": lambda r: (
        f"20{r.randrange(10, 99)}-02-03T10:{r.randrange(10, 60)}:00{r.choice(['Z', '.123+08:00'])}"
    ),
    "address": lambda r: f"10.0.{r.randrange(256)}.{r.randrange(256)}:{r.randrange(1, 65536)}",
    "quoted": lambda r: f"'{''.join(r.choice('ab 5[]/:') for _ in range(r.randrange(1, 20)))}'",
    "double": lambda r: f'"{_hex(r, 5)} {r.random()}"',
}
# What may stand before, in and after a status, in any order.
AROUND_STATUSES = [
    *("413", "503", "599", "700", "5", "1.1", "N", ":", " ", ".", ",", "(", ")", "'", '"', "-", "/", "…"),
    *("HTTP ", "HTTP/1.1 ", "HTTP/2 ", "status ", "status: ", "status code ", "ApiError(", "Exception("),
    *("mapper_parsing_exception", "exception", "5b2f0a1e-6b7c-4d8e-9f00-112233445566"),
]
STATUS = re.compile(r"(?<!\w)[1-5][0-9]{2}(?!\w)")
PARTS = st.lists(st.sampled_from([*WORDS, *VALUES]), max_size=12)


def _error(parts: list[str], seed: int) -> str:
    """A number that an error begins with may be its status: these begin with a word."""
    random = Random(seed)
    return " ".join(["said", *(VALUES[part](random) if part in VALUES else part for part in parts)])


@given(PARTS, st.integers(), st.integers())
def test_errors_that_differ_only_in_values_are_one_group(parts: list[str], one: int, other: int) -> None:
    assert fold(_error(parts, one)) == fold(_error(parts, other))


@given(
    st.text()
    | st.text(alphabet="'\"` a5f…:-.Z\n\\")
    | PARTS.map(lambda parts: _error(parts, 1))
    | st.lists(st.sampled_from(AROUND_STATUSES)).map("".join)
)
@example("00000000000Error(100")
@example("00000000000Astatus=404")
@settings(max_examples=300)
def test_folding_again_changes_nothing(error: str) -> None:
    folded = fold(error)
    assert fold(folded) == folded
    assert not re.search("[0-9]", STATUS.sub("", folded))


SHAPES = [
    *AROUND_STATUSES,
    "0b1d2c3e-4f50-6172-8394-a5b6c7d8e9f0",
    "-4f50-6172-8394-a5b6c7d8e9f0",
    "'it's '",
    "'mapper_parsing_exception'",
    '"',
    "`",
    "deadbeef1",
    "https://a:9200/x",
    "  ",
    "\n",
    "…",
]


@given(st.lists(st.sampled_from(SHAPES) | st.text(alphabet="'\"` a5f…:-.Z\n("), max_size=12).map("".join))
@example("4xx 0b1d2c3e-4f50-6172-8394-a5b6c7d8e9f0'")
def test_the_quick_way_by_the_shape_folds_to_the_same(error: str) -> None:
    assert fold(error) == fold_all(error[:LONGEST])


@given(st.text(alphabet="'\"` a5f-", min_size=100).map(lambda text: text * 40))
@settings(max_examples=30)
def test_a_long_text_is_bounded_and_folds_once_too(error: str) -> None:
    assert len(fold(error)) <= LONGEST
    assert fold(fold(error)) == fold(error)


def test_what_the_sink_says_reads_well_when_folded() -> None:
    error = (
        "[1:57] failed to parse field [rank_score] of type [double] in document with id "
        "'block:5b2f0a1e-6b7c-4d8e-9f00-112233445566'. Preview of field's value: 'it's no number'"
    )
    assert fold(error) == (
        "[N:N] failed to parse field [rank_score] of type [double] in document with id "
        "'*'. Preview of field's value: '*'"
    )
    assert fold("[block:5b2f0a1e-6b7c-4d8e-9f00-112233445566]: current version [5]") == (
        "[block:ID]: current version [N]"
    )
    assert fold("index [outbox-search-index-000001] blocked") == "index [outbox-search-index-N] blocked"


def test_other_causes_are_other_groups() -> None:
    texts = ["no [a] here", "no [b] here", "no here", "", "facade", "decade bad"]
    assert len({fingerprint("mapping", text) for text in texts}) == len(texts)
    assert fingerprint("mapping", "x") != fingerprint("bad_request", "x") != fingerprint(None, "x")
    assert fingerprint("mapping", None) == fingerprint("mapping", "")


def test_a_fingerprint_stays_the_same_over_releases() -> None:
    """It stands in runbooks and tickets."""
    assert fingerprint("mapping", "Unknown outbox op: 'x' 5") == "a76d259d1da0"


@pytest.mark.parametrize(
    ("error", "folded"),
    [
        ("413", "413"),
        ("429: Too Many Requests", "429: Too Many Requests"),
        (
            "503 unavailable_shards_exception: [i][3] 12 shards",
            "503 unavailable_shards_exception: [i][N] N shards",
        ),
        ("400 exception: took 400", "400 exception: took N"),
        ("HTTP 502, gateway: took 502 ms", "HTTP 502, gateway: took N ms"),
        ("HTTP/1.1 504 after 30 s", "HTTP/N 504 after N s"),
        ("the engine answered with status code 401", "the engine answered with status code 401"),
        (
            "BadRequestError(400, 'mapper_parsing_exception', 'failed to parse 7')",
            "BadRequestError(400, 'mapper_parsing_exception', '*')",
        ),
        ('{"type":"mapper_exception","reason":"no"}', '{"*":"mapper_exception","*":"*"}'),
        ("413 documents were sent", "N documents were sent"),  # a count
        ("500ms, 429.5 s, 503-7", "Nms, N s, N-N"),
        ("HTTP 999, status 1234, ApiError(4)", "HTTP N, status N, ApiError(N)"),
    ],
)
def test_a_status_and_an_errors_type_are_shown_and_tell_causes_apart(error: str, folded: str) -> None:
    """`413` was shown as `N`, and a 413 and a 429 without a text were one cause."""
    assert fold(error) == folded


def test_causes_that_differ_by_their_status_are_other_groups() -> None:
    texts = [
        template.format(status)
        for template in ("{}", "HTTP {}", "ApiError({}, 'x')")
        for status in (413, 502)
    ]
    assert len({fingerprint("server_error", text) for text in texts}) == len(texts)
    assert fingerprint("mapping", "400 mapper_parsing_exception: [1:57] bad 5") == fingerprint(
        "mapping", "400 mapper_parsing_exception: [2:9] bad 66"
    )


def test_a_value_that_was_cut_off_is_still_a_value() -> None:
    assert fold("Preview: 'abc def…") == fold("Preview: 'something else…") == "Preview: '*'"
    assert fold("body: " + '"' + "x" * 10**6) == fold('body: "' + "y" * 1_500)


@pytest.mark.parametrize("error", ["\ud800 \udcff", "\x00\x1b[31m", "'" * 5_000, "5" * 10**6, "::" * 999])
def test_hostile_text_breaks_nothing(error: str) -> None:
    assert len(fingerprint("mapping", error)) == 12
    assert len(fold(error)) <= LONGEST


def _microseconds(error: str) -> float:
    """The least of some tries, each of a text that was not folded before: a busy machine is no slow fold."""
    times = []
    for end in "!?;=~":
        began = perf_counter()
        fold(error[: LONGEST - 2] + end)
        times.append(perf_counter() - began)
    return min(times) * 1e6


@pytest.fixture(scope="module")
def ordinary() -> float:
    return _microseconds("0x1f a1 " * LONGEST)


@pytest.mark.parametrize("part", ["a:", "aa:bb:", "::", "a::", "a-", "A-a-", "-", " 'a", "1:1:", "a1-"])
def test_hostile_text_is_folded_quickly(part: str, ordinary: float) -> None:
    """Else a `failed list` of 2,000 such errors takes ten seconds: from each beginning, all is read."""
    assert _microseconds(part * LONGEST) < 10 * ordinary
