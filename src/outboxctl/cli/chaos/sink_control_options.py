"""The control of the sink's process that the options of `chaos es` name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from outboxctl.cli import parse
from outboxctl.domain.errors import UsageError
from outboxctl.drills.faults import sink_controls
from outboxctl.drills.services import status
from outboxctl.net.urls import parse_url
from outboxctl.settings.folders import state_folder

if TYPE_CHECKING:
    from outboxctl.drills.faults.sink_controls import SinkControl

AUTO = "auto"
MEANS = {  # of each flag
    "pid_file": sink_controls.PidFile.name,
    "unit": sink_controls.Systemd.name,
    "compose_file": sink_controls.Compose.name,
    "service": sink_controls.Compose.name,
    "stop_command": sink_controls.Commands.name,
}
HINT = "say --pid-file, --unit, --compose-file and --service, or --stop-command and --start-command"


def chosen(verb: str, url: str, flags: Mapping[str, Any]) -> "SinkControl":
    """The control that these flags name; with `auto` and none of them, the services that outboxctl started.

    Raises UsageError for an unknown one, flags of two of them, and a flag that is missing.
    """
    means = parse.one_of("--means", flags["means"], [AUTO, *sink_controls.KNOWN], "means")
    named = sorted({MEANS[flag] for flag in MEANS if flags.get(flag)})
    if means == AUTO and len(named) > 1:
        raise UsageError(f"flags of {' and of '.join(named)}", hint="say which with --means")
    name = means if means != AUTO else named[0] if named else sink_controls.OwnServices.name
    if name == sink_controls.OwnServices.name:
        return _own(url)
    return _made(name, verb, flags)


def _own(url: str) -> "SinkControl":
    port = parse_url(url).port
    if not any(each.role == "search" and each.port == port for each in status()):
        raise UsageError(f"`outboxctl services up` did not start the sink at {url}", hint=HINT)
    return sink_controls.OwnServices(str(state_folder()))


def _made(name: str, verb: str, flags: Mapping[str, Any]) -> "SinkControl":
    def need(flag: str) -> str:
        if not flags.get(flag):
            raise UsageError(f"--means {name} needs --{flag.replace('_', '-')}")
        return str(flags[flag])

    if name == sink_controls.PidFile.name:
        start = need("start_command") if verb in {"stop", "start"} else None
        return sink_controls.PidFile(need("pid_file"), start)
    if name == sink_controls.Systemd.name:
        return sink_controls.Systemd(need("unit"))
    if name == sink_controls.Compose.name:
        return sink_controls.Compose(need("compose_file"), need("service"))
    if verb in {"pause", "resume"}:
        raise UsageError("two commands cannot pause a sink", hint="say --pid-file, or --unit")
    return sink_controls.Commands(need("stop_command"), need("start_command"))
