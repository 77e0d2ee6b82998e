"""`db notify`: whether an insert into the outbox wakes the workers at once."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.guards import acting, as_owner, reading
from outboxctl.cli.options import Json, Yes, settings


class Switch(StrEnum):
    """What is done with the trigger."""

    ON = "on"
    OFF = "off"
    STATUS = "status"


def notify(
    to: Annotated[Switch, typer.Argument(metavar="[on|off|status]", help="Default: status.")] = Switch.STATUS,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Have every INSERT into the outbox wake the workers (on), let them poll (off), or show which it is.

    On: a trigger that fires once a statement. Its cost: NOTIFY takes a lock at commit that all notifying
    transactions of the server queue for, and PREPARE TRANSACTION refuses what has notified. Workers
    go on polling as well, for what is put back to pending.

    Example: outboxctl db notify on

    Example: outboxctl db notify status --json
    """
    from outboxctl.core.schema import notify

    if to is Switch.STATUS:
        with reading(settings()) as connection:
            now = notify.status(connection)
    else:
        with acting(settings(), f"switch NOTIFY {to}", yes=yes) as db, as_owner(), db.begin() as connection:
            now = notify.switch(connection, on=to is Switch.ON)
    state = "notify" if now.on else "do not notify"
    text = f"Inserts {state} (channel {now.channel}, {now.listening} listening)."
    rendering.show(asdict(now), lambda: [text], json=json)
