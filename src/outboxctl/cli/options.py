"""The options that several commands share, and the settings as this command line has them."""

from dataclasses import asdict, dataclass, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from outboxctl.settings import Settings

DatabaseUrl = Annotated[
    str | None, typer.Option("--database-url", help="PostgreSQL URL [env: DATABASE_URL].")
]
ElasticUrl = Annotated[
    str | None, typer.Option("--elastic-url", help="URL or URLs of the search engine [env: ELASTIC_URL].")
]
ElasticIndex = Annotated[
    str | None, typer.Option("--elastic-index", help="Index or alias [env: ELASTIC_INDEX].")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many rows.")]
LockWait = Annotated[
    float, typer.Option("--wait", min=0, max=86_400, help="Seconds to try to get the tables' locks.")
]
# Who changes events, declarations or the marker says so, and why.
By = Annotated[str, typer.Option("--by", help="Who does it (goes into the audit).")]
Reason = Annotated[str, typer.Option("--reason", help="Why (goes into the audit).")]
# Of what is done by rule: retention, and an index that is made to agree with the rows.
ByOrLogin = Annotated[str | None, typer.Option("--by", help="Who does it [default: the login name].")]
ReasonOrCommand = Annotated[
    str | None, typer.Option("--reason", help="Why (goes into the audit) [default: the command's name].")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, even where the database is marked prod.")]
OfProjection = Annotated[str | None, typer.Option("--projection", help="Only this projection's events.")]
IndexOfProjection = Annotated[
    str | None,
    typer.Option("--projection", help="The index of this projection [default: search_index's]."),
]
OfType = Annotated[str | None, typer.Option("--entity-type", help="Only this entity type.")]
FaultDuration = Annotated[
    str | None, typer.Option("--for", help="Undo it by itself after this long: 30s, 5m.")
]
NotProduction = Annotated[
    bool,
    typer.Option("--yes-this-is-not-production", help="Database and search engine may be on other machines."),
]

_program_flags: dict[str, Any] = {}


def set_program_flags(**flags: Any) -> None:
    """Remember the options before the command: `outboxctl --database-url … status`."""
    _program_flags.clear()
    _program_flags.update({name: value for name, value in flags.items() if value is not None})


def program_flags() -> dict[str, Any]:
    """The settings among the options before the command, by name."""
    return dict(_program_flags)


def settings(**flags: Any) -> "Settings":
    """All settings, with the options of this command line. Raises UsageError for a bad value."""
    from outboxctl.settings import load

    return load(**_program_flags | {name: value for name, value in flags.items() if value is not None})


def print_progress(text: str) -> None:
    """Print a line on stderr."""
    typer.echo(text, err=True)


def audited(by: str | None, reason: str) -> dict[str, str]:
    """`by` (the login name where it is None) and `reason`, as the audit takes them. Raises UsageError."""
    from outboxctl.cli import parse

    name = login() if by is None else by
    return {"by": parse.words("--by", name, 120), "reason": parse.words("--reason", reason, 2_000)}


def login() -> str:
    """The login name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have none
        return "unknown"


# Bundles of options for the commands that still take them.


@dataclass(frozen=True, kw_only=True)
class DatabaseOptions:
    """Of a command that reads or changes the database."""

    json: Json = False

    def flags(self) -> dict[str, Any]:
        """The settings among the options, by name."""
        return {k: v for k, v in asdict(self).items() if k.startswith("elastic_")} | program_flags()

    def settings(self) -> "Settings":
        """All settings, with these flags. Raises UsageError for a bad value."""
        return settings(**{k: v for k, v in asdict(self).items() if k.startswith("elastic_")})


@dataclass(frozen=True, kw_only=True)
class FaultOptions(DatabaseOptions):
    """Of a command that causes a fault or ends one."""

    sure: NotProduction = False

    def allowed(self, what: str) -> "Settings":
        """The settings, once what a killed command left is undone.

        Raises UsageError where it is not allowed to do `what` (`stop the sink`).
        """
        from outboxctl.cli.chaos.ledger import undo_leftovers
        from outboxctl.drills.faults.gate import allow

        settings = self.settings()
        allow(settings, what, sure=self.sure)
        undo_leftovers(lambda: settings)
        return settings


PipelineOptions = DatabaseOptions


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(DatabaseOptions):
    """Of a command that changes the database, and asks where it is prod."""

    yes: Yes = False


class CommandGroup(typer.Typer):
    """A group whose commands may take bundles: a parameter that is a dataclass of options."""

    def command(self, *args: Any, **more: Any) -> "Callable[[Any], Any]":
        """Add a command."""
        register = super().command(*args, **more)

        def decorate(function: Any) -> Any:
            register(expanded(function))
            return function

        return decorate


def group(text: str, **more: Any) -> CommandGroup:
    """An empty group that shows its help where no command is given; `more` goes to typer."""
    return CommandGroup(help=text, no_args_is_help=True, **more)


def expanded(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """The function with an option for each field of its bundles, which it gets filled."""
    hints = get_type_hints(function, include_extras=True)
    bundles = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters: dict[str, Parameter] = {}
    for name, parameter in signature(function).parameters.items():
        parameters |= signature(bundles[name]).parameters if name in bundles else {name: parameter}

    @wraps(function)
    def call(**values: Any) -> Any:
        for name, bundle in bundles.items():
            values[name] = bundle(**{field: values.pop(field) for field in signature(bundle).parameters})
        return function(**values)

    options = [
        parameters[name].replace(kind=Parameter.KEYWORD_ONLY)
        for name in sorted(parameters, key=lambda name: name == "json")
    ]
    call.__signature__ = signature(function).replace(parameters=options)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in options}
    return call
