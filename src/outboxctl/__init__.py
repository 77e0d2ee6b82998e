"""PostgreSQL outbox to Elasticsearch: run it, watch it, replay it, drill it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outboxctl.core.produce import enqueue

__version__ = "0.1.0"
__all__ = ["__version__", "enqueue"]


def __getattr__(name: str) -> Any:
    """Load `enqueue` when it is first used: a producer need not pay for the rest."""
    if name == "enqueue":
        from outboxctl.core.produce import enqueue  # noqa: PLC0415 - late on purpose

        return enqueue
    raise AttributeError(f"module 'outboxctl' has no attribute {name!r}")
