"""What the shell offers after Tab: words that the program knows, without asking a server."""

from outboxctl.domain.failures import NO_REASON, Reason


def reasons(incomplete: str) -> list[str]:
    """Every failure reason, and the word for events without one."""
    return [str(reason) for reason in (*Reason, NO_REASON) if reason.startswith(incomplete)]


def words(incomplete: str) -> list[str]:
    """Every word that `explain` knows."""
    from outboxctl.operations.explain import names

    return [name for some in names().values() for name in some if name.startswith(incomplete)]


def faults(incomplete: str) -> list[str]:
    """Every fault of the proxy."""
    from outboxctl.drills.proxy.faults import KNOWN

    return [name for name in KNOWN if name.startswith(incomplete)]
