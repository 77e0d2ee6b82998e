"""The way to stop and start the sink, from the words of a command line."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from outboxctl.chaos import means
from outboxctl.cli import parse
from outboxctl.errors import UsageError
from outboxctl.services import status
from outboxctl.services.record import state_folder
from outboxctl.urls import parse_url

if TYPE_CHECKING:
    from outboxctl.chaos.means import Means

AUTO = "auto"
OWN = {  # the flags that say which means they belong to
    "pid_file": means.PidFile.name,
    "unit": means.Systemd.name,
    "compose_file": means.Compose.name,
    "service": means.Compose.name,
    "stop_command": means.Commands.name,
}
HOW = "say --pid-file, --unit, --compose-file and --service, or --stop-command and --start-command"


def chosen(verb: str, url: str, flags: Mapping[str, Any]) -> "Means":
    """The means of these flags; `auto` finds them by the flags, else takes our own services.

    Raises UsageError for an unknown one, flags of two means, and a flag that is missing.
    """
    wish = parse.one_of("--means", flags["by"], [AUTO, *means.KNOWN], "means")
    named = sorted({OWN[flag] for flag in OWN if flags.get(flag)})
    if wish == AUTO and len(named) > 1:
        raise UsageError(f"flags of {' and of '.join(named)}", hint="say which with --means")
    name = wish if wish != AUTO else named[0] if named else means.OwnServices.name
    if name == means.OwnServices.name:
        return _own(url)
    return _made(name, verb, flags)


def _own(url: str) -> "Means":
    port = parse_url(url).port
    if not any(each.role == "search" and each.port == port for each in status()):
        raise UsageError(f"`outboxctl services up` did not start the sink at {url}", hint=HOW)
    return means.OwnServices(str(state_folder()))


def _made(name: str, verb: str, flags: Mapping[str, Any]) -> "Means":
    def need(flag: str) -> str:
        if not flags.get(flag):
            raise UsageError(f"--means {name} needs --{flag.replace('_', '-')}")
        return str(flags[flag])

    makers: dict[str, Callable[[], Means]] = {
        means.PidFile.name: lambda: means.PidFile(
            need("pid_file"), need("start_command") if verb in {"stop", "start"} else None
        ),
        means.Systemd.name: lambda: means.Systemd(need("unit")),
        means.Compose.name: lambda: means.Compose(need("compose_file"), need("service")),
        means.Commands.name: lambda: means.Commands(need("stop_command"), need("start_command")),
    }
    if name == means.Commands.name and verb in {"pause", "resume"}:
        raise UsageError("two commands cannot pause a sink", hint="say --pid-file, or --unit")
    return makers[name]()
