"""Tracing of batches, switched off; `worker.spans` is the one that is switched on."""

import sys
from contextlib import AbstractContextManager, nullcontext

from structlog.typing import Processor

from outboxctl.worker.lease import Batch
from outboxctl.worker.outcome import Outcomes

SDK = "opentelemetry.sdk.trace"  # loaded before the program, if at all
NOTHING: AbstractContextManager[None] = nullcontext()


class Tracing:
    """Tracing that is off. A batch costs four calls that do nothing."""

    on = False

    def batch(self, batch: Batch) -> AbstractContextManager[object]:  # noqa: ARG002 - no span is made
        """Around a batch from its claim to its settling."""
        return NOTHING

    def sending(self, documents: int) -> AbstractContextManager[object]:  # noqa: ARG002
        """Around all requests of a delivery."""
        return NOTHING

    def settling(self) -> AbstractContextManager[object]:
        """Around the writing of the outcomes of a batch."""
        return NOTHING

    def settled(self, outcomes: Outcomes, written: int) -> None:
        """The outcomes of the batch, and how many of its rows settling hit."""

    def log_processors(self) -> list[Processor]:
        """What adds the ids of a span to the lines that are logged within it."""
        return []

    def untraced(self) -> AbstractContextManager[object]:
        """Around requests that are not worth a span: a probe of the sink each half second."""
        return NOTHING


def tracing(worker_id: str, index: str) -> Tracing:
    """Spans where the process has an SDK of OpenTelemetry, as by `opentelemetry-instrument`; else none."""
    if SDK not in sys.modules:
        return Tracing()
    from outboxctl.worker.spans import Spans  # noqa: PLC0415 - slow to load

    return Spans(worker_id, index)
