"""The tree of commands: what belongs to a command is loaded once it is asked for."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

import outboxctl
from outboxctl.cli.options import FullHelpGroup, group

# Where each is: a module of this package, and the command, or the group of commands, in it.
COMMANDS = {
    "demo": ("demo", "demo"),
    "worker": ("worker", "worker"),
    "status": ("status.command", "status"),
    "top": ("top", "top"),
    "check": ("check", "check"),
    "report": ("report", "report"),
    "doctor": ("doctor", "doctor"),
    "explain": ("explain", "explain"),
    "stuck": ("status.command", "stuck"),
    "oldest": ("status.command", "oldest"),
    "audit": ("audit", "audit"),
    "verify": ("verify.command", "verify"),
    "rebuild": ("rebuild.command", "rebuild"),
    "prune": ("prune", "prune"),
    "alerts": ("alerts", "app"),
    "failed": ("failed.command", "app"),
    "replay": ("replay", "app"),
    "projection": ("projection.command", "app"),
    "inject": ("inject", "app"),
    "chaos": ("chaos.command", "app"),
    "lab": ("lab", "app"),
    "db": ("db.command", "app"),
    "services": ("services", "app"),
    "sink": ("sink", "app"),
    "config": ("config", "app"),
}
PLAIN: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": None}
# Written by `make docs` from the commands themselves: the list of all of them is printed without loading any.
FIRST_SENTENCES = Path(__file__).with_name("first_sentences.json")


class LateCommands(Mapping[str, Any]):
    """The commands by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Typer's command of that name."""
        if name not in self._made:
            self._made[name] = _command(name, *COMMANDS[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        """The names, as the help lists them."""
        return iter(COMMANDS)

    def __len__(self) -> int:
        """How many there are."""
        return len(COMMANDS)


def _command(name: str, module: str, attribute: str) -> Any:
    found = getattr(import_module(f"outboxctl.cli.{module}"), attribute)
    around = group("", **PLAIN)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    return typer.main.get_group(around).commands[name]


class ProgramGroup(FullHelpGroup):
    """The program: all commands, none of them loaded yet."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.commands = LateCommands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer gives it
        """The names of all commands."""
        return list(COMMANDS)

    def first_sentences(self) -> dict[str, str]:
        """What each command does, as it was written down."""
        return dict(loads(FIRST_SENTENCES.read_text()))


app = group(
    "Run, watch, replay and drill a PostgreSQL outbox to Elasticsearch pipeline.",
    kind=ProgramGroup,
    epilog="First time: `outboxctl demo` shows everything on services of its own.\n\n"
    "After an alert: `outboxctl status`, then `outboxctl explain` and the alert's name.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    **PLAIN,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"outboxctl {outboxctl.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
