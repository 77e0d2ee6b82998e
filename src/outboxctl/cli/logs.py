"""Logging to stderr: lines for people on a terminal, JSON elsewhere; hostile text escaped and cut."""

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor

from outboxctl.domain.printable import brief, clean
from outboxctl.domain.redaction import redact

Event = MutableMapping[str, Any]
TRACEBACK = "exception"  # structlog's name of it
LONGEST_TRACEBACK = 60  # lines


class Unfailing:
    """A stream that drops a line it cannot write: a full disk must not stop a worker."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush, or do nothing."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure(stream: TextIO = sys.stderr, *, colour: bool = False, more: Sequence[Processor] = ()) -> None:
    """Set up structlog, for JSON unless `stream` is a terminal; `more` processors add to each line."""
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=True)
    if stream.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors=colour, pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *more,
            _escape,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Unfailing(stream))),
        cache_logger_on_first_use=True,
    )


def _escape(_logger: Any, _method: str, event: Event) -> Event:
    traceback = event.pop(TRACEBACK, None)
    shown = {key: _harmless(value) for key, value in event.items()}
    return shown if traceback is None else shown | {TRACEBACK: _lines(str(traceback))}


def _lines(traceback: str) -> str:
    """A traceback line by line, redacted before: a secret may hold a line end. Its end says most."""
    lines = redact(traceback).splitlines()
    if len(lines) > LONGEST_TRACEBACK:
        lines = [lines[0], "  …", *lines[2 - LONGEST_TRACEBACK :]]
    return "\n".join(brief(line, 300) for line in lines)


def _harmless(value: Any) -> Any:
    """A value of a line with every text in it cut, cleaned and redacted; what is no JSON becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {clean(str(key)): _harmless(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_harmless(each) for each in value]
    return brief(value)
