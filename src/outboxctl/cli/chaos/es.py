"""`chaos es`: the sink stopped, started and paused."""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import opened, say
from outboxctl.cli.options import ElasticUrl, FaultDuration, FaultOptions, fault_seconds, group
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.drills.faults.engine import SinkControl
    from outboxctl.settings import Settings

app = group("Stop and start the sink, or pause it.")


def _command(name: str, text: str) -> Any:
    variable = f"OUTBOX_CHAOS_{name.upper().replace('-', '_')}"
    return typer.Option(f"--{name}", envvar=variable, help=text, show_default=False)


@dataclass(frozen=True, kw_only=True)
class PauseOptions(FaultOptions):
    """Where the sink is."""

    elastic_url: ElasticUrl = None

    def sink(self, verb: str) -> "tuple[Settings, str]":
        """Settings and URL of the sink. Raises UsageError where `verb` is not allowed."""
        from outboxctl.drills.faults import sink

        settings = self.allowed(f"{verb} the sink")
        return settings, sink.only(settings)


@dataclass(frozen=True, kw_only=True)
class StopOptions(PauseOptions):
    """The same, and what stops and starts another sink than that of `services up`."""

    stop_command: Annotated[str | None, _command("stop-command", "This stops the sink.")] = None
    start_command: Annotated[str | None, _command("start-command", "This starts it again.")] = None

    def control(self, url: str) -> "SinkControl":
        """Those commands, or the services. Raises UsageError for one without the other."""
        from outboxctl.drills.faults import engine

        if self.stop_command and self.start_command:
            return engine.Commands(self.stop_command, self.start_command)
        if self.stop_command or self.start_command:
            raise UsageError("--stop-command and --start-command go together")
        return engine.own(url)


@app.command()
def stop(options: StopOptions, duration: FaultDuration = None) -> None:
    """Stop the sink: connections are refused until it is started. By default that of `services up`.

    Example: outboxctl chaos es stop --for 30s
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import engine

    seconds = fault_seconds(duration)
    settings, url = options.sink("stop")
    cause(settings, [engine.stop(options.control(url), url, say)], seconds, json=options.json)


@app.command()
def pause(options: PauseOptions, duration: FaultDuration = None) -> None:
    """Pause the engine of `services up` (SIGSTOP): it takes connections and answers nothing.

    Example: outboxctl chaos es pause --for 30s
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import engine

    seconds = fault_seconds(duration)
    settings, url = options.sink("pause")
    cause(settings, [engine.pause(engine.own(url), url)], seconds, json=options.json)


@app.command()
def start(options: StopOptions) -> None:
    """Start the sink that was stopped, and wait until it answers.

    Example: outboxctl chaos es start
    """
    from outboxctl.drills.faults import engine

    settings, url = options.sink("start")
    began = monotonic()
    undone = engine.start(opened(settings), options.control(url), url, say)
    report = {"sink": url, "answers": True, "undone": [each.id for each in undone]}
    text = f"{url} answers, after {rendering.age(monotonic() - began)}"
    rendering.show(report, lambda: [text], json=options.json)
