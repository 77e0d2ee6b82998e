"""`chaos worker`: real workers of this machine killed and paused."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import opened
from outboxctl.cli.guards import checked_database
from outboxctl.cli.options import FaultDuration, FaultOptions, fault_seconds, group

if TYPE_CHECKING:
    from outboxctl.drills.faults.workers import VerifiedProcess
    from outboxctl.settings import Settings

app = group("Kill and pause workers of this machine.")


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(FaultOptions):
    """Which workers."""

    worker_id: Annotated[str | None, typer.Option("--id", help="The worker's name (OUTBOX_WORKER_ID).")] = (
        None
    )
    pid: Annotated[int | None, typer.Option(min=2, help="Its process.")] = None
    every: Annotated[bool, typer.Option("--all", help="All workers of this machine, or of that name.")] = (
        False
    )

    def chosen(self, verb: str) -> "tuple[Settings, list[VerifiedProcess]]":
        """The settings, and the verified workers. Raises UsageError without any, or where not allowed."""
        from outboxctl.core.stats import workers as rows
        from outboxctl.drills.faults import workers

        settings = self.allowed(f"{verb} workers")
        with checked_database(settings) as db, db.begin() as connection:
            registered, now = rows.all_workers(connection), rows.clock(connection)
        return settings, workers.chosen(
            registered, now, worker_id=self.worker_id, pid=self.pid, every=self.every
        )


@app.command()
def kill(worker: WorkerOptions) -> None:
    """Kill with SIGKILL: nothing is released; the events of the worker are reclaimed when its leases end.

    Only a process that is proved to be a worker of this database is killed.

    Example: outboxctl chaos worker kill --id w1
    """
    from outboxctl.drills.faults import workers

    settings, chosen = worker.chosen("kill")
    for each in chosen:
        workers.kill(opened(settings), each)
    rows = [{"worker_id": each.row.worker_id, "pid": each.row.pid} for each in chosen]
    rendering.show({"killed": rows}, lambda: [f"killed {each.name}" for each in chosen], json=worker.json)


@app.command()
def pause(worker: WorkerOptions, duration: FaultDuration = None) -> None:
    """Pause with SIGSTOP: it holds its claims and does nothing; when it goes on, they may have ended.

    Example: outboxctl chaos worker pause --for 30s
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import workers

    seconds = fault_seconds(duration)
    settings, chosen = worker.chosen("pause")
    cause(settings, [workers.pause(each) for each in chosen], seconds, json=worker.json)
