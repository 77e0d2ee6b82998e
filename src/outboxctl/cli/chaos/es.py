"""`chaos es`: the sink stopped and started, paused and resumed."""

from dataclasses import asdict, dataclass
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import rendering
from outboxctl.cli.chaos.ledger import opened, say
from outboxctl.cli.options import ElasticUrl, FaultDuration, FaultOptions, fault_seconds, group

if TYPE_CHECKING:
    from outboxctl.drills.faults.sink_controls import SinkControl
    from outboxctl.settings import Settings

app = group("Stop and start the sink, or pause it.")


def _sink_option(name: str, text: str) -> Any:
    variable = f"OUTBOX_CHAOS_{name.upper().replace('-', '_')}"
    return typer.Option(f"--{name}", envvar=variable, help=text, show_default=False)


@dataclass(frozen=True, kw_only=True)
class PauseOptions(FaultOptions):
    """Where the sink is, and what controls its process."""

    means: Annotated[
        str, _sink_option("means", "auto (by the flags), services, pid-file, systemd, compose or command.")
    ] = "auto"
    pid_file: Annotated[str | None, _sink_option("pid-file", "The sink's pid is in this file.")] = None
    unit: Annotated[str | None, _sink_option("unit", "The sink is this systemd unit.")] = None
    compose_file: Annotated[str | None, _sink_option("compose-file", "The sink is in this Compose file.")] = (
        None
    )
    service: Annotated[str | None, _sink_option("service", "Its service in the Compose file.")] = None
    elastic_url: ElasticUrl = None

    def control(self, verb: str) -> "tuple[Settings, str, SinkControl]":
        """Settings, URL and control of the sink. Raises UsageError where `verb` is not allowed."""
        from outboxctl.cli.chaos.sink_control_options import chosen
        from outboxctl.drills.faults import sink

        settings = self.allowed(f"{verb} the sink")
        url = sink.only(settings)
        return settings, url, chosen(verb, url, asdict(self))


@dataclass(frozen=True, kw_only=True)
class StopOptions(PauseOptions):
    """The same for a stop, which commands can do, too."""

    stop_command: Annotated[str | None, _sink_option("stop-command", "This stops the sink.")] = None
    start_command: Annotated[str | None, _sink_option("start-command", "This starts it again.")] = None


@app.command()
def stop(sink: StopOptions, duration: FaultDuration = None) -> None:
    """Stop the sink: connections are refused until it is started. By default that of `services up`.

    Example: outboxctl chaos es stop --for 30s
    """
    _begin("stop", sink, duration)


@app.command()
def pause(sink: PauseOptions, duration: FaultDuration = None) -> None:
    """Pause the sink's process (SIGSTOP): it takes connections and answers nothing.

    Example: outboxctl chaos es pause --for 30s --pid-file /var/run/elasticsearch.pid
    """
    _begin("pause", sink, duration)


@app.command()
def start(sink: StopOptions) -> None:
    """Start the sink that was stopped, and wait until it answers.

    Example: outboxctl chaos es start
    """
    _end("start", sink)


@app.command()
def resume(sink: PauseOptions) -> None:
    """Let the sink that was paused go on, and wait until it answers.

    Example: outboxctl chaos es resume
    """
    _end("resume", sink)


def _begin(verb: str, sink: PauseOptions, duration: str | None) -> None:
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import engine

    seconds = fault_seconds(duration)
    settings, url, control = sink.control(verb)
    plan = engine.stop if verb == "stop" else engine.pause
    cause(settings, [plan(control, url, say)], seconds, json=sink.json)


def _end(verb: str, sink: PauseOptions) -> None:
    from outboxctl.drills.faults import engine

    settings, url, control = sink.control(verb)
    began = monotonic()
    undo = engine.start if verb == "start" else engine.resume
    undone = undo(opened(settings), control, url, say)
    report = {"sink": url, "answers": True, "undone": [each.id for each in undone]}
    text = f"{url} answers, after {rendering.age(monotonic() - began)}"
    rendering.show(report, lambda: [text], json=sink.json)
