"""What every `chaos`, `lab` and `bench` command does first: undo what a killed one left behind."""

# Each declares how its faults are undone; who undoes must have loaded them all.
KINDS = (
    "outboxctl.drills.faults.engine",
    "outboxctl.drills.faults.workers",
    "outboxctl.drills.faults.block",
    "outboxctl.drills.faults.guest",
)


def undo_leftovers() -> None:
    """Undo what was left behind, and say so on stderr; what cannot be undone stays written down."""
    from outboxctl.drills.faults import records

    if not records.any_active():
        return

    from outboxctl.cli.chaos.ledger import opened
    from outboxctl.cli.options import settings

    opened(settings()).recover()
