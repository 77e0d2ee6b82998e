"""A log line is one line, whatever is in it, and never costs a thread."""

import io
import json
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import structlog

from outboxctl.cli import logs
from outboxctl.domain import redaction

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


def test_a_traceback_is_kept_line_by_line_and_shows_no_secret() -> None:
    stream = io.StringIO()
    logs.configure(stream)
    with patch.object(redaction, "_known", ()):
        redaction.add_secret("hunter2-of-a-test")
        try:
            _deep(100)
        except RuntimeError as error:
            structlog.get_logger().error("unexpected error", exc_info=error)
    (line,) = stream.getvalue().splitlines()
    shown = json.loads(line)["exception"].split("\n")
    assert shown[0] == "Traceback (most recent call last):"
    assert shown[1] == "  …", "the end is kept"
    assert len(shown) <= logs.LONGEST_TRACEBACK
    assert shown[-1] == "RuntimeError: it has *** and \\x1b[31m"


def _deep(frames: int) -> None:
    if not frames:
        raise RuntimeError("it has hunter2-of-a-test and \x1b[31m")
    (_deep if frames % 2 else _deeper)(frames - 1)  # Python folds a recursion of one function


def _deeper(frames: int) -> None:
    _deep(frames)
