"""What a worker tells a tracing system of its batches: nothing, unless tracing is on (`worker.spans`)."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outboxctl.worker.intake import Batch
    from outboxctl.worker.outcome import Outcomes

NOTHING: AbstractContextManager[None] = nullcontext()


class Tracing:
    """Tracing that is off. A batch costs four calls that do nothing."""

    on = False

    def batch(self, batch: "Batch") -> AbstractContextManager[object]:  # noqa: ARG002 - nothing is told
        """Around a batch from its claim to its settling."""
        return NOTHING

    def sending(self, documents: int) -> AbstractContextManager[object]:  # noqa: ARG002
        """Around all requests of a delivery."""
        return NOTHING

    def settling(self) -> AbstractContextManager[object]:
        """Around the writing of what became of a batch."""
        return NOTHING

    def settled(self, outcomes: "Outcomes", written: int) -> None:
        """What became of the batch, and how many of its events were still ours to settle."""

    def unseen(self) -> AbstractContextManager[object]:
        """Around requests that are no news: a look at the sink each half second."""
        return NOTHING

    def stop(self) -> None:
        """Nothing more will come: tell what has not been told, in a moment or never."""
