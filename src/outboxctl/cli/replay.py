"""`replay`: failed events back to pending."""

from outboxctl.cli.failed.moves import MoveWords, move
from outboxctl.cli.failed.selection import AtMost, FailIfNone, SelectionOptions
from outboxctl.cli.options import By, MoveOptions, Reason, audited

REPLAY = MoveWords("replay", "replayed", "went back to pending", "would go back to pending")


def replay(
    by: By,
    reason: Reason,
    chosen: SelectionOptions,
    options: MoveOptions,
    limit: AtMost = None,
    fail_if_none: FailIfNone = False,
) -> None:
    """Put failed events back to pending, in whole batches, each audited in its own transaction.

    ^C ends it after the current batch. `failed undo AUDIT_ID` takes back what is not delivered yet.

    Example: outboxctl replay --by alice --reason "fixed root cause" --limit 100 --dry-run
    """
    from outboxctl.core.operator import moves

    selection = chosen.selection(limit)
    move(REPLAY, moves.replay, selection, options, audited(by, reason), fail_if_none=fail_if_none)
