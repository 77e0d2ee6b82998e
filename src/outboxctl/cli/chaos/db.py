"""`chaos db`: the database's sessions ended."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.guards import checked_database
from outboxctl.cli.options import FaultDuration, FaultOptions, fault_seconds, group
from outboxctl.domain.printable import counted

if TYPE_CHECKING:
    from outboxctl.core.database import Database

app = group("Trouble with the database.")


@app.command()
def terminate(
    common: FaultOptions,
    everybody: Annotated[
        bool,
        typer.Option("--all/--workers", help="Everybody's sessions, or those of outboxctl: its workers'."),
    ] = False,
    duration: FaultDuration = None,
    every: Annotated[str, typer.Option(help="With --for: end them again each time after this long.")] = "1s",
) -> None:
    """End sessions of this database with pg_terminate_backend, once or for a while; nothing to undo.

    Other commands of outboxctl lose their session too: all have the same application_name.

    Example: outboxctl chaos db terminate --for 10s --every 1s
    """
    seconds, pause = fault_seconds(duration), parse.duration("--every", every).total_seconds()
    settings = common.allowed("end sessions")
    with checked_database(settings) as db:
        rounds, code = _rounds(db, seconds or 0.0, pause, everybody=everybody)
        if not (ended := sum(rounds)):
            _refuse_hidden_sessions(db)
    text = f"{counted(ended, 'session')} ended, in {counted(len(rounds), 'round')}"
    rendering.show({"terminated": ended, "rounds": len(rounds)}, lambda: [text], json=common.json)
    if code:
        raise typer.Exit(code)


def _refuse_hidden_sessions(db: "Database") -> None:
    """Raise UsageError where nothing was ended because this login may not see whose sessions there are."""
    from outboxctl.core.sessions import hidden
    from outboxctl.domain.errors import UsageError

    with db.begin() as connection:
        unseen = hidden(connection)
    if unseen:
        hint = "use the workers' login, a superuser's, or one with pg_read_all_stats and pg_signal_backend"
        raise UsageError(f"no session ended: this login may not see {counted(unseen, 'session')}", hint=hint)


def _rounds(db: "Database", seconds: float, pause: float, *, everybody: bool) -> tuple[list[int], int]:
    """Sessions ended in each round, and the exit code if a signal came."""
    from outboxctl.cli.chaos.hold import SIGNALLED, stop_signal, watch
    from outboxctl.core.sessions import terminate as end_sessions

    def end() -> int:
        with db.begin() as connection:
            return end_sessions(connection, everybody=everybody)

    until = monotonic() + seconds
    with stop_signal() as signalled:
        rounds = [end()]
        while not signalled() and (left := until - monotonic()) > 0:
            watch(lambda: f"{counted(sum(rounds), 'session')} ended", min(pause, left), signalled)
            rounds.append(end())
        return rounds, SIGNALLED + signalled() if signalled() else 0
