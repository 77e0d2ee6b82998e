"""`db notify`: whether an insert into the outbox wakes the workers at once."""

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.guards import acting, as_owner, reading
from outboxctl.cli.options import ChangeOptions

if TYPE_CHECKING:
    from outboxctl.core.schema.notify import NotifyState


class Switch(StrEnum):
    """What is done with the trigger."""

    ON = "on"
    OFF = "off"
    STATUS = "status"


def notify(
    common: ChangeOptions,
    to: Annotated[Switch, typer.Argument(metavar="[on|off|status]", help="Default: status.")] = Switch.STATUS,
) -> None:
    """Have every INSERT into the outbox wake the workers (on), let them poll (off), or show which it is.

    On: a trigger that fires once a statement. Its cost: NOTIFY takes a lock at commit that all notifying
    transactions of the server queue for, and PREPARE TRANSACTION refuses what has notified. Workers
    go on polling as well, for what is put back to pending.

    Example: outboxctl db notify on

    Example: outboxctl db notify status --json
    """
    from outboxctl.core.schema.notify import status

    if to is not Switch.STATUS:
        _switch(common, on=to is Switch.ON)
        return
    with reading(common.settings()) as connection:
        _show(status(connection), json=common.json)


def _switch(common: ChangeOptions, *, on: bool) -> None:
    from outboxctl.core.schema import notify

    what = f"switch NOTIFY {'on' if on else 'off'}"
    with acting(common.settings(), what, yes=common.yes) as db, as_owner(), db.begin() as connection:
        now = notify.switch(connection, on=on)
    _show(now, json=common.json)


def _show(switch: "NotifyState", *, json: bool) -> None:
    state = "notify" if switch.on else "do not notify"
    text = f"Inserts {state} (channel {switch.channel}, {switch.listening} listening)."
    rendering.show(asdict(switch), lambda: [text], json=json)
