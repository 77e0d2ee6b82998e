"""The way to stop and start the sink, from the words of a command line."""

from collections.abc import Callable, Mapping
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
OWN = {  # the flags that say which means they belong to
    "pid_file": sink_controls.PidFile.name,
    "unit": sink_controls.Systemd.name,
    "compose_file": sink_controls.Compose.name,
    "service": sink_controls.Compose.name,
    "stop_command": sink_controls.Commands.name,
}
HOW = "say --pid-file, --unit, --compose-file and --service, or --stop-command and --start-command"


def chosen(verb: str, url: str, flags: Mapping[str, Any]) -> "SinkControl":
    """The means of these flags; `auto` finds them by the flags, else takes our own services.

    Raises UsageError for an unknown one, flags of two means, and a flag that is missing.
    """
    wish = parse.one_of("--means", flags["by"], [AUTO, *sink_controls.KNOWN], "means")
    named = sorted({OWN[flag] for flag in OWN if flags.get(flag)})
    if wish == AUTO and len(named) > 1:
        raise UsageError(f"flags of {' and of '.join(named)}", hint="say which with --means")
    name = wish if wish != AUTO else named[0] if named else sink_controls.OwnServices.name
    if name == sink_controls.OwnServices.name:
        return _own(url)
    return _made(name, verb, flags)


def _own(url: str) -> "SinkControl":
    port = parse_url(url).port
    if not any(each.role == "search" and each.port == port for each in status()):
        raise UsageError(f"`outboxctl services up` did not start the sink at {url}", hint=HOW)
    return sink_controls.OwnServices(str(state_folder()))


def _made(name: str, verb: str, flags: Mapping[str, Any]) -> "SinkControl":
    def need(flag: str) -> str:
        if not flags.get(flag):
            raise UsageError(f"--means {name} needs --{flag.replace('_', '-')}")
        return str(flags[flag])

    makers: dict[str, Callable[[], SinkControl]] = {
        sink_controls.PidFile.name: lambda: sink_controls.PidFile(
            need("pid_file"), need("start_command") if verb in {"stop", "start"} else None
        ),
        sink_controls.Systemd.name: lambda: sink_controls.Systemd(need("unit")),
        sink_controls.Compose.name: lambda: sink_controls.Compose(need("compose_file"), need("service")),
        sink_controls.Commands.name: lambda: sink_controls.Commands(
            need("stop_command"), need("start_command")
        ),
    }
    if name == sink_controls.Commands.name and verb in {"pause", "resume"}:
        raise UsageError("two commands cannot pause a sink", hint="say --pid-file, or --unit")
    return makers[name]()
