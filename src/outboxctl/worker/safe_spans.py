"""Spans that can fail: an error costs the span, and nothing of the work within it.

A sampler or a processor may be another library's; its error would cost each event of a batch its attempts.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any


class Harmless(AbstractContextManager[None]):
    """The span that `begin` makes, around a block, or none where it cannot be made."""

    def __init__(self, begin: Callable[[], AbstractContextManager[object]]) -> None:
        self._begin = begin
        self._span: AbstractContextManager[object] = nullcontext()

    def __enter__(self) -> None:
        with harmless():
            span = self._begin()
            span.__enter__()
            self._span = span

    def __exit__(self, *error: Any) -> None:
        with harmless():
            self._span.__exit__(*error)


@contextmanager
def harmless() -> Iterator[None]:
    """Log an error as OpenTelemetry itself would (see `telemetry.RareWarnings`), and go on."""
    try:
        yield
    except Exception as error:
        logging.getLogger("opentelemetry").warning(f"a span is lost: {type(error).__name__}")
