"""Groups of commands, the options that several commands share, and bundles of these."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from outboxctl.settings import Settings

SETTINGS = ("database_url", "elastic_url", "elastic_index", "max_processing_seconds")
LAST = (*SETTINGS, "json")  # options of a help text

DatabaseUrl = Annotated[
    str | None, typer.Option("--database-url", help="PostgreSQL URL [env: DATABASE_URL].")
]
ElasticUrl = Annotated[str | None, typer.Option("--elastic-url", help="Sink URL or URLs [env: ELASTIC_URL].")]
ElasticIndex = Annotated[
    str | None, typer.Option("--elastic-index", help="Index or alias [env: ELASTIC_INDEX].")
]
MaxProcessing = Annotated[
    float | None,
    typer.Option(
        "--max-processing-seconds",
        help="Processing longer than this is stuck [env: OUTBOX_MAX_PROCESSING_SECONDS].",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many rows.")]
LockWait = Annotated[
    float, typer.Option("--wait", min=0, max=86_400, help="Seconds to try to get the tables' locks.")
]
By = Annotated[str, typer.Option("--by", help="Who does it (goes into the audit).")]
Reason = Annotated[str, typer.Option("--reason", help="Why (goes into the audit).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, even where the database is marked prod.")]
Rate = Annotated[
    float | None,
    typer.Option("--rate", min=0.1, max=1_000_000, help="At most this many events a second."),
]
FaultDuration = Annotated[
    str | None, typer.Option("--for", help="Undo it by itself after this long: 30s, 5m.")
]
NotProduction = Annotated[
    bool,
    typer.Option("--yes-this-is-not-production", help="Database and sink may be on other machines."),
]


@dataclass(frozen=True, kw_only=True)
class DatabaseOptions:
    """Of a command that reads or changes the database."""

    database_url: DatabaseUrl = None
    json: Json = False

    def flags(self) -> dict[str, Any]:
        """The settings among the options, by name."""
        return {name: value for name, value in asdict(self).items() if name in SETTINGS}

    def settings(self) -> "Settings":
        """All settings, with these flags. Raises UsageError for a bad value."""
        return settings(**self.flags())


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


@dataclass(frozen=True, kw_only=True)
class StatusOptions(DatabaseOptions):
    """Of a command that reports stuck events."""

    max_processing_seconds: MaxProcessing = None


@dataclass(frozen=True, kw_only=True)
class PipelineOptions(DatabaseOptions):
    """Of a command that uses the database and the sink."""

    elastic_url: ElasticUrl = None
    elastic_index: ElasticIndex = None


@dataclass(frozen=True, kw_only=True)
class CheckOptions(StatusOptions, PipelineOptions):
    """Of a command that judges the whole pipeline."""


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(DatabaseOptions):
    """Of a command that changes the database, and asks where it is prod."""

    yes: Yes = False


@dataclass(frozen=True, kw_only=True)
class MoveOptions(ChangeOptions):
    """Of a command that moves failed events from one status to another."""

    dry_run: DryRun = False
    rate: Rate = None


def settings(**flags: Any) -> "Settings":
    """All settings, with the flags given on this command line; doubts about them go to stderr."""
    from outboxctl.settings import load, probable_misspellings

    loaded = load(**flags)
    for doubt in probable_misspellings():
        print_progress(f"outboxctl: {doubt}")
    return loaded


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


class CommandGroup(typer.Typer):
    """A group whose commands may take bundles: a parameter that is a dataclass of options."""

    def command(self, *args: Any, **more: Any) -> Callable[[Any], Any]:
        """Add a command."""
        register = super().command(*args, **more)

        def decorate(function: Any) -> Any:
            register(expanded(function))
            return function

        return decorate


def group(text: str, *, kind: type[TyperGroup] = TyperGroup, **more: Any) -> CommandGroup:
    """An empty group that shows its help where no command is given; `more` goes to typer."""
    return CommandGroup(cls=kind, help=text, no_args_is_help=True, **more)


def expanded(function: Callable[..., Any]) -> Callable[..., Any]:
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

    ordered = sorted(parameters, key=lambda name: LAST.index(name) if name in LAST else -1)
    options = [parameters[name].replace(kind=Parameter.KEYWORD_ONLY) for name in ordered]
    call.__signature__ = signature(function).replace(parameters=options)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in options}
    return call
