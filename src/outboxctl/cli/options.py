"""The options that several commands share, and the settings as this command line has them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse

if TYPE_CHECKING:
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
By = Annotated[str, parse.option("--by", parse.words, 120, help="Who does it (goes into the audit).")]
Reason = Annotated[str, parse.option("--reason", parse.words, 2_000, help="Why (goes into the audit).")]
# Of what is done by rule: retention, and an index that is made to agree with the rows.
ByOrLogin = Annotated[
    str | None, parse.option("--by", parse.words, 120, help="Who does it [default: the login name].")
]
ReasonOrCommand = Annotated[
    str | None,
    parse.option(
        "--reason", parse.words, 2_000, help="Why (goes into the audit) [default: the command's name]."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, even where the database is marked prod.")]
OfProjection = Annotated[
    str | None, parse.option("--projection", parse.words, 50, help="Only this projection's events.")
]
IndexOfProjection = Annotated[
    str | None, typer.Option("--projection", help="The index of this projection [default: search_index's].")
]
OfType = Annotated[str | None, parse.option("--entity-type", parse.words, 50, help="Only this entity type.")]
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


def settings(**flags: Any) -> "Settings":
    """All settings, with the options of this command line. Raises UsageError for a bad value."""
    from outboxctl.settings import load

    return load(**_program_flags | {name: value for name, value in flags.items() if value is not None})


def print_progress(text: str) -> None:
    """Print a line on stderr."""
    typer.echo(text, err=True)


def audited(by: str | None, reason: str) -> dict[str, str]:
    """`by` (the login name where it is None) and `reason`, as the audit takes them."""
    return {"by": login() if by is None else by, "reason": reason}


def login() -> str:
    """The login name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have none
        return "unknown"


def group(text: str, **more: Any) -> typer.Typer:
    """An empty group that shows its help where no command is given; `more` goes to typer."""
    return typer.Typer(help=text, no_args_is_help=True, **more)
