"""`db notify`: whether an insert into the outbox wakes the workers at once."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from outboxctl.cli import rendering
from outboxctl.cli.guards import acting, as_owner, reading
from outboxctl.cli.options import ChangeOptions, DatabaseOptions, group

if TYPE_CHECKING:
    from outboxctl.core.schema.notify import NotifyState

app = group("Wake workers at once when events are inserted (NOTIFY), or let them poll.")


@app.command()
def on(common: ChangeOptions) -> None:
    """Have every INSERT into the outbox wake the workers, which else wait for their next poll.

    A trigger that fires once a statement. Its cost: NOTIFY takes a lock at commit that all notifying
    transactions of the server queue for, and PREPARE TRANSACTION refuses what has notified. Workers
    go on polling as well, for what is put back to pending.

    Example: outboxctl db notify on
    """
    _switch(common, on=True)


@app.command()
def off(common: ChangeOptions) -> None:
    """Take the trigger away again; workers poll.

    Example: outboxctl db notify off
    """
    _switch(common, on=False)


@app.command()
def status(common: DatabaseOptions) -> None:
    """Show whether inserts notify, and how many sessions listen, as far as this role may see them.

    Example: outboxctl db notify status --json
    """
    from outboxctl.core.schema import notify

    with reading(common.settings()) as connection:
        _show(notify.status(connection), json=common.json)


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
