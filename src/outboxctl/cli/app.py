"""The tree of commands: what belongs to a command is loaded once it is asked for."""

from collections import UserDict
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import outboxctl
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, group, set_program_flags

# The panels of the help; where each command is: a module of this package, and the command, or the group of
# commands, in it.
PANELS = {
    "Run": {
        "worker": ("worker", "worker"),
        "services": ("services", "app"),
        "demo": ("demo", "demo"),
    },
    "Look": {
        "status": ("status.command", "status"),
        "stuck": ("status.command", "stuck"),
        "oldest": ("status.command", "oldest"),
        "check": ("check", "check"),
        "doctor": ("doctor", "doctor"),
        "explain": ("explain", "explain"),
        "report": ("report", "report"),
        "audit": ("audit", "audit"),
    },
    "Repair": {
        "failed": ("failed.command", "app"),
        "replay": ("failed.command", "replay"),
        "verify": ("verify.command", "verify"),
        "rebuild": ("rebuild.command", "rebuild"),
        "index": ("index", "app"),
        "prune": ("prune", "prune"),
    },
    "Set up": {
        "projection": ("projection.command", "app"),
        "db": ("db", "app"),
        "roles": ("roles", "roles"),
        "config": ("config", "config"),
        "alerts": ("alerts", "alerts"),
    },
    "Drill": {
        "lab": ("lab", "app"),
        "inject": ("inject", "app"),
        "chaos": ("chaos", "app"),
    },
}
COMMANDS = {name: (panel, *place) for panel, commands in PANELS.items() for name, place in commands.items()}
SHOWN: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": "markdown"}


class LateCommands(UserDict[str, Any]):
    """The commands by name, each made when it is first asked for."""

    def __getitem__(self, name: str) -> Any:
        """Typer's command of that name."""
        if self.data[name] is None:
            self.data[name] = _command(name, *COMMANDS[name])
        return self.data[name]


def _command(name: str, panel: str, module: str, attribute: str) -> Any:
    found = getattr(import_module(f"outboxctl.cli.{module}"), attribute)
    around = group("", **SHOWN)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, rich_help_panel=panel)
    else:
        around.command(name, rich_help_panel=panel)(found)
    return typer.main.get_group(around).commands[name]


class ProgramGroup(TyperGroup):
    """The program: all commands, none of them loaded yet."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.commands: Any = LateCommands(dict.fromkeys(COMMANDS))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer gives it
        """The names of all commands; the base class would load each of them."""
        return list(COMMANDS)


app = group(
    "Run, watch, replay and drill a PostgreSQL outbox to Elasticsearch pipeline.",
    cls=ProgramGroup,
    epilog="First time: `outboxctl demo` shows everything on services of its own.\n\n"
    "After an alert: `outboxctl status`, then `outboxctl explain` and the alert's name.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    **SHOWN,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"outboxctl {outboxctl.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # noqa: ARG001 - its callback reads it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
) -> None:
    set_program_flags(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
