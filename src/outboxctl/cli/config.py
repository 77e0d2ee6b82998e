"""`config`: every setting, where its value came from, secrets masked."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from outboxctl.cli import rendering
from outboxctl.cli.options import Json, settings

if TYPE_CHECKING:
    from outboxctl.settings import Settings

OWN = (
    "These are the settings of a command that is started here. A running worker has those of its start: "
    "outboxctl status shows the outage policy of each."
)
Show = Annotated[Literal["show"], typer.Argument(hidden=True)]


def config(show: Show = "show", json: Json = False) -> None:  # noqa: ARG001 - `config show`, too
    """Show every setting, its value and where it came from, a secret's file too; secrets are masked.

    Example: outboxctl config --json
    """
    rows = _rows(settings())
    cells = [(row["setting"], row["value"], row["file"] or row["source"]) for row in rows]
    table = rendering.table("Settings", ("setting", "value", "from"), cells)
    rendering.show({"settings": rows}, lambda: [table, OWN], json=json)


def _rows(settings: "Settings") -> list[dict[str, Any]]:
    from outboxctl.settings import env_names

    return [
        {
            "setting": env_names(name)[0],
            "value": _masked(name, getattr(settings, name)),
            "source": settings.origin(name).source.value,
            "file": settings.origin(name).path,
        }
        for name in type(settings).model_fields
    ]


def _masked(field: str, value: Any) -> Any:
    from pydantic import SecretStr

    from outboxctl.net.urls import mask

    if not isinstance(value, SecretStr):
        return value
    secret = value.get_secret_value()
    if field == "database_url":
        return mask(secret)
    return ",".join(map(mask, secret.split(","))) if field == "elastic_url" else "***"
