"""`replay`: failed events back to pending."""

from typing import Annotated

import typer

from outboxctl.cli.failed.moves import MoveWords, move
from outboxctl.cli.failed.selection import AtMost, Ids, OfCause, OfReason, Since, Until, selection
from outboxctl.cli.options import By, DryRun, Json, OfProjection, OfType, Reason, Yes, audited

REPLAY = MoveWords("replay", "replayed", "went back to pending", "would go back to pending")


def replay(
    by: By,
    reason: Reason,
    ids: Ids = None,
    error_reason: OfReason = None,
    fingerprint: OfCause = None,
    entity_type: OfType = None,
    projection: OfProjection = None,
    since: Since = None,
    until: Until = None,
    limit: AtMost = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=1_000_000, help="At most this many events a second.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put failed events back to pending, in whole batches, each audited in its own transaction.

    ^C ends it after the current batch. `failed undo AUDIT_ID` takes back what is not delivered yet.

    Example: outboxctl replay --by alice --reason "fixed root cause" --limit 100 --dry-run
    """
    from outboxctl.core.operator.moves import replay as apply

    chosen = selection(ids, error_reason, fingerprint, entity_type, projection, since, until, limit)
    move(REPLAY, apply, chosen, audited(by, reason), rate=rate, dry_run=dry_run, yes=yes, json=json)
