"""`chaos db`: what goes wrong between us and the database."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.chaos.flags import For, Sure, seconds
from outboxctl.cli.groups import group
from outboxctl.cli.options import DatabaseUrl, Json, settings
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from outboxctl.core.database import Database

app = group("Trouble with the database.")


@app.command()
def terminate(
    everybody: Annotated[
        bool,
        typer.Option("--all/--workers", help="Everybody's sessions, or those of outboxctl: its workers'."),
    ] = False,
    lasts: For = None,
    every: Annotated[str, typer.Option("--every", help="With --for: again and again, so often.")] = "1s",
    database_url: DatabaseUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """End sessions of this database with pg_terminate_backend, once or for a while; nothing to undo.

    Other commands of outboxctl lose their session too: all go by one application_name.

    Example: outboxctl chaos db terminate --for 10s --every 1s
    """
    from outboxctl.cli import parse, rendering
    from outboxctl.cli.options import checked_database
    from outboxctl.drills.faults.gate import allow

    given = settings(database_url=database_url)
    held, pause = seconds(lasts), parse.duration("--every", every).total_seconds()
    allow(given, "end sessions", sure=sure)
    with checked_database(given, connections=1) as db:
        rounds, told = _again(db, held or 0.0, pause, everybody=everybody)
    if json:
        rendering.emit_json({"terminated": sum(rounds), "rounds": len(rounds)})
    else:
        typer.echo(f"{counted(sum(rounds), 'session')} ended, in {counted(len(rounds), 'round')}")
    if told:
        raise typer.Exit(told)


def _again(db: "Database", seconds: float, pause: float, *, everybody: bool) -> tuple[list[int], int]:
    """Sessions ended in each round, and the exit code if a signal came."""
    from time import monotonic

    from outboxctl.cli.chaos.hold import SIGNALLED, watch
    from outboxctl.cli.chaos.stop_signals import stop_signal

    end = monotonic() + seconds
    with stop_signal() as told:
        rounds = [_once(db, everybody)]
        while not told() and (left := end - monotonic()) > 0:
            watch(f"{counted(sum(rounds), 'session')} ended", min(pause, left), told)
            rounds.append(_once(db, everybody))
        return rounds, SIGNALLED + told() if told() else 0


def _once(db: "Database", everybody: bool) -> int:
    from outboxctl.core.sessions import terminate as end

    with db.begin() as connection:
        return end(connection, everybody=everybody)
