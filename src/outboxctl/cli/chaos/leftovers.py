"""What every `chaos`, `lab` and `bench` command does first: undo what a killed one left behind."""

# Each declares how its faults are undone; who undoes must have loaded them all.
KINDS = (
    "outboxctl.chaos.engine",
    "outboxctl.chaos.workers",
    "outboxctl.chaos.block",
    "outboxctl.chaos.guest",
)


def clear_up() -> None:
    """Undo what was left behind, and say so on stderr; what cannot be undone stays written down."""
    from outboxctl.chaos import book

    if not book.any_under_way():
        return

    from outboxctl.cli.chaos.ledger import opened
    from outboxctl.cli.options import settings

    opened(settings()).recover()
