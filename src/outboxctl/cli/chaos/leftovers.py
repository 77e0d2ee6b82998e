"""What every `chaos`, `lab` and `bench` command does first: undo what a killed one left behind."""


def undo_leftovers() -> None:
    """Undo what was left behind, and say so on stderr; what cannot be undone stays written down."""
    from outboxctl.drills.faults import records

    if not records.any_active():
        return

    from outboxctl.cli.chaos.ledger import opened
    from outboxctl.cli.options import settings

    opened(settings()).recover()
