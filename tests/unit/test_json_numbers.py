"""Numbers of JSON are compared by their exact value, and written as they were read."""

import json

import pytest
from msgspec import Raw

from outboxctl.domain import json_numbers
from outboxctl.operations.verify.judge import same
from outboxctl.sink.index.scanned import search_page

pytestmark = pytest.mark.no_servers
LONG = "9" * 5_000  # more digits than Python makes an integer of


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("1.000000000000000001", "1.000000000000000002", False),
        ("12345678901234567890.1", "12345678901234567890.2", False),
        ("0.1", "0.1000000000000000055511151231257827", False),
        ("1.10", "1.1", True),
        ("1e2", "100", True),
        ("100.0", "1E+2", True),
        ("-0", "0", True),
        ("1e400", "1e401", False),
        ("1e999999999999999999999", "1e999999999999999999998", False),
        (LONG, f"{LONG}.0", True),
        (LONG, f"{LONG[:-1]}8", False),
        ("1", "true", False),
        ("1.0", '"1.0"', False),
    ],
)
def test_equality_is_that_of_the_numbers(one: str, other: str, alike: bool) -> None:
    pattern = '{{"a": {}, "b": [{{"c": {}}}]}}'
    assert same(pattern.format(1, one).encode(), pattern.format("1 ", other)) is alike


@pytest.mark.parametrize("text", ["1.10", "1E+2", "-0", "0.000000001", "12345678901234567890.12345", "7"])
def test_numbers_are_written_as_they_were_read(text: str) -> None:
    value = json_numbers.loads(f'{{"a": [{text}, "{text}", true]}}')
    assert json_numbers.dumps(value) == f'{{"a": [{text}, "{text}", true]}}'
    assert json_numbers.dumps(value, indent=1).count(text) == 2


def test_a_body_that_only_python_reads_keeps_its_numbers() -> None:
    half, number = '"\\ud800"', "1.000000000000000001"
    answer = f'{{"hits": {{"hits": [{{"_id": "1", "_source": {{"a": {number}, "b": {half}}}}}]}}}}'
    (document,) = search_page(answer.encode()).documents
    assert json.loads(bytes(document.source))["b"] == "\ud800"
    assert number.encode() in bytes(document.source)
    assert isinstance(document.source, Raw)
