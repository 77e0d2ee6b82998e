"""`chaos es`: the sink stopped and started, paused and resumed."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.chaos.flags import For, Sure, seconds
from outboxctl.cli.groups import group
from outboxctl.cli.options import DatabaseUrl, ElasticUrl, Json, settings

if TYPE_CHECKING:
    from outboxctl.drills.faults.sink_controls import SinkControl
    from outboxctl.settings import Settings

app = group("Stop and start the sink, or pause it.")


def _sink_option(flag: str, variable: str, text: str) -> Any:
    return typer.Option(flag, envvar=f"OUTBOX_CHAOS_{variable}", help=text, show_default=False)


By = Annotated[
    str,
    _sink_option("--means", "MEANS", "auto (by the flags), services, pid-file, systemd, compose or command."),
]
PidFile = Annotated[str | None, _sink_option("--pid-file", "PID_FILE", "The sink's pid is in this file.")]
Unit = Annotated[str | None, _sink_option("--unit", "UNIT", "The sink is this systemd unit.")]
ComposeFile = Annotated[
    str | None, _sink_option("--compose-file", "COMPOSE_FILE", "The sink is in this Compose file.")
]
Service = Annotated[str | None, _sink_option("--service", "SERVICE", "Its service there.")]
StopCommand = Annotated[str | None, _sink_option("--stop-command", "STOP_COMMAND", "This stops the sink.")]
StartCommand = Annotated[
    str | None, _sink_option("--start-command", "START_COMMAND", "This starts it again.")
]


@app.command()
def stop(
    lasts: For = None,
    by: By = "auto",
    pid_file: PidFile = None,
    unit: Unit = None,
    compose_file: ComposeFile = None,
    service: Service = None,
    stop_command: StopCommand = None,
    start_command: StartCommand = None,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Stop the sink: connections are refused until it is started. By default that of `services up`.

    Example: outboxctl chaos es stop --for 30s
    """
    _break("stop", dict(locals()))


@app.command()
def pause(
    lasts: For = None,
    by: By = "auto",
    pid_file: PidFile = None,
    unit: Unit = None,
    compose_file: ComposeFile = None,
    service: Service = None,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Pause the sink's process (SIGSTOP): it takes connections and answers nothing.

    Example: outboxctl chaos es pause --for 30s --pid-file /var/run/elasticsearch.pid
    """
    _break("pause", dict(locals()))


@app.command()
def start(
    by: By = "auto",
    pid_file: PidFile = None,
    unit: Unit = None,
    compose_file: ComposeFile = None,
    service: Service = None,
    stop_command: StopCommand = None,
    start_command: StartCommand = None,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Start the sink that was stopped, and wait until it answers.

    Example: outboxctl chaos es start
    """
    _end_fault("start", dict(locals()))


@app.command()
def resume(
    by: By = "auto",
    pid_file: PidFile = None,
    unit: Unit = None,
    compose_file: ComposeFile = None,
    service: Service = None,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Let the sink that was paused go on, and wait until it answers.

    Example: outboxctl chaos es resume
    """
    _end_fault("resume", dict(locals()))


def _break(verb: str, flags: dict[str, Any]) -> None:
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.cli.chaos.ledger import say
    from outboxctl.drills.faults import engine

    held = seconds(flags["lasts"])
    given, url, means = _ready(verb, flags)
    begin = engine.stop if verb == "stop" else engine.pause
    cause(given, [begin(means, url, say)], held, json=flags["json"])


def _end_fault(verb: str, flags: dict[str, Any]) -> None:
    from outboxctl.cli import rendering
    from outboxctl.cli.chaos.ledger import opened, say
    from outboxctl.drills.faults import engine

    given, url, means = _ready(verb, flags)
    began = monotonic()
    mend = engine.start if verb == "start" else engine.resume
    undone = mend(opened(given), means, url, say)
    if flags["json"]:
        rendering.emit_json({"sink": url, "answers": True, "undone": [each.id for each in undone]})
    else:
        typer.echo(f"{url} answers, after {rendering.age(monotonic() - began)}")


def _ready(verb: str, flags: dict[str, Any]) -> "tuple[Settings, str, SinkControl]":
    """Settings, the sink's URL and the means; UsageError where it is not to be done, or not said how."""
    from outboxctl.cli.chaos.sink_control_options import chosen
    from outboxctl.drills.faults import sink
    from outboxctl.drills.faults.gate import allow

    given = settings(database_url=flags["database_url"], elastic_url=flags["elastic_url"])
    url = sink.only(given)
    allow(given, f"{verb} the sink", sure=flags["sure"])
    return given, url, chosen(verb, url, flags)
