"""What the shell offers after Tab: reasons from the table of failures, ids from the database.

A shell that waits is worse than one that offers nothing: whatever goes wrong or takes long ends in
an empty list, silently. The scripts that the shells run evaluate what they are offered, so only
plain words are: an entity type called `$(reboot)` has to be typed by hand.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from outboxctl.core.database import Connection

PATIENCE = 0.7  # seconds for the database; loading the command takes a few tenths more
PLAIN = re.compile(r"[\w.@+-]+", re.ASCII)

Read = Callable[["Connection", str], list[str]]


def reasons(incomplete: str) -> list[str]:
    """Every reason that an event can have failed with, and that for having none."""
    from outboxctl.domain.failures import NO_REASON, Reason

    return [str(reason) for reason in (*Reason, NO_REASON) if reason.startswith(incomplete)]


def faults(incomplete: str) -> list[str]:
    """Every fault of the proxy."""
    from outboxctl.cli.chaos.fault_options import KNOWN

    return [name for name in KNOWN if name.startswith(incomplete)]


def failed_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of failed events."""
    from outboxctl.core.stats import completion

    return _asked(ctx, completion.failed_ids, incomplete)


def entity_types(ctx: typer.Context, incomplete: str) -> list[str]:
    """Entity types of failed events."""
    from outboxctl.core.stats import completion

    return _asked(ctx, completion.entity_types, incomplete)


def fingerprints(ctx: typer.Context, incomplete: str) -> list[str]:
    """Fingerprints of what failed."""
    from outboxctl.core.stats import completion

    return _asked(ctx, completion.fingerprints, incomplete)


def audit_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Audit ids of all acts."""
    from outboxctl.core.stats import completion

    return _asked(ctx, completion.audit_ids, incomplete)


def replays(ctx: typer.Context, incomplete: str) -> list[str]:
    """Audit ids of replays."""
    from outboxctl.core.stats import completion

    return _asked(ctx, completion.replays, incomplete)


def _asked(ctx: typer.Context, read: Read, incomplete: str) -> list[str]:
    """What the database says within PATIENCE; a thread that is late dies with the process."""
    from outboxctl.cli.guards import reading
    from outboxctl.cli.options import settings

    found: list[str] = []

    def ask() -> None:
        with (
            suppress(Exception),
            reading(settings(database_url=ctx.params.get("database_url"))) as connection,
        ):
            found.extend(read(connection, incomplete))

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return [value for value in found if PLAIN.fullmatch(value)]
