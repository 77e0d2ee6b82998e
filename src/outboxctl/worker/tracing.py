"""Tracing of batches, switched off; `worker.spans` is the one that is switched on."""

from contextlib import AbstractContextManager, nullcontext

from structlog.typing import Processor

from outboxctl.worker.claiming.leases import Batch
from outboxctl.worker.settling.outcome import Outcomes

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
