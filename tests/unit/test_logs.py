"""A log line is one line, whatever is in it, and never costs a thread."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from outboxctl.cli import logs

pytestmark = pytest.mark.no_servers


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_hostile_text_stays_one_line_of_json() -> None:
    stream = io.StringIO()
    logs.configure(stream)
    structlog.get_logger().warning("failed", error="a\nb\x1b[31m\u2028" + "z" * 10_000)
    (line,) = stream.getvalue().splitlines()
    assert len(json.loads(line)["error"]) <= 1_000
    assert "\x1b" not in line


def test_a_stream_that_fails_is_survived() -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    logs.configure(Full())
    structlog.get_logger().warning("lost")
