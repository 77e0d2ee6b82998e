"""`db notify`: whether an insert into the outbox tells the workers at once."""

from typing import TYPE_CHECKING

import typer

from outboxctl.cli.groups import group
from outboxctl.cli.guards import Yes, acting, reading
from outboxctl.cli.options import DatabaseUrl, Json, settings

if TYPE_CHECKING:
    from outboxctl.core.schema.notify import NotifyState

app = group("Tell workers of new events at once (NOTIFY), or let them poll.")


@app.command()
def on(yes: Yes = False, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Have every INSERT into the outbox wake the workers, which else wait for their next poll.

    A trigger that fires once a statement. Its price: NOTIFY takes a lock at commit that all notifying
    transactions of the server queue for, and PREPARE TRANSACTION refuses what has notified. Workers
    go on polling as well, for what is put back to pending.

    Example: outboxctl db notify on
    """
    _switch(database_url, on=True, yes=yes, json=json)


@app.command()
def off(yes: Yes = False, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Take the trigger away again; workers poll.

    Example: outboxctl db notify off
    """
    _switch(database_url, on=False, yes=yes, json=json)


@app.command()
def status(database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Show whether inserts notify, and how many sessions listen, as far as this role may see them.

    Example: outboxctl db notify status --json
    """
    from outboxctl.core.schema import notify

    with reading(settings(database_url=database_url)) as connection:
        _show(notify.status(connection), json=json)


def _switch(database_url: str | None, *, on: bool, yes: bool, json: bool) -> None:
    from outboxctl.core.schema import notify

    what = f"switch NOTIFY {'on' if on else 'off'}"
    with acting(settings(database_url=database_url), what, yes=yes) as db, db.begin() as connection:
        now = notify.switch(connection, on=on)
    _show(now, json=json)


def _show(switch: "NotifyState", *, json: bool) -> None:
    from dataclasses import asdict

    from outboxctl.cli import rendering

    if json:
        rendering.emit_json(asdict(switch))
    else:
        state = "notify" if switch.on else "do not notify"
        typer.echo(f"Inserts {state} (channel {switch.channel}, {switch.listening} listening).")
