"""PostgreSQL outbox to Elasticsearch: run it, watch it, replay it, drill it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outboxctl.core.produce import enqueue
    from outboxctl.core.touching import touch

    __version__: str

__all__ = ["__version__", "enqueue", "touch"]


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is first used: a producer need not pay for the rest."""
    if name == "enqueue":
        from outboxctl.core.produce import enqueue  # noqa: PLC0415 - late on purpose

        return enqueue
    if name == "touch":
        from outboxctl.core.touching import touch  # noqa: PLC0415 - late on purpose

        return touch
    if name == "__version__":
        return _version()
    raise AttributeError(f"module 'outboxctl' has no attribute {name!r}")


def _version() -> str:
    """What the build took from the tag; `0.0.0` for sources that were never installed."""
    from importlib import metadata  # noqa: PLC0415 - 10 ms that `--help` and a producer do not need

    try:
        return metadata.version("outboxctl")
    except metadata.PackageNotFoundError:
        return "0.0.0"
