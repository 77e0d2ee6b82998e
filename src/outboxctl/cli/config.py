"""`config show`: every setting, where its value came from, secrets masked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from outboxctl.cli.groups import group
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, settings

if TYPE_CHECKING:
    from outboxctl.settings import Settings

app = group("The settings in force.")


@app.callback()
def _group() -> None:
    """Keep `show` a subcommand although it is the only one."""


@app.command()
def show(
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Show every setting, its value and where it came from, a secret's file too; secrets are masked.

    Example: outboxctl config show --json
    """
    from outboxctl.cli import rendering

    flags = {"database_url": database_url, "elastic_url": elastic_url, "elastic_index": elastic_index}
    rows = shown(settings(**flags), flags)
    if json:
        rendering.emit_json({"settings": rows})
    else:
        cells = [(row["setting"], _display_value(row["value"]), row["file"] or row["source"]) for row in rows]
        rendering.console().print(rendering.table("Settings", ("setting", "value", "from"), cells))


def shown(given: "Settings", flags: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every setting as people may see it, and where its value came from."""
    from outboxctl.settings import Source, env_names, secret_file, sources

    origin = sources(**flags)
    return [
        {
            "setting": env_names(name)[0],
            "value": _shown(name, getattr(given, name)),
            "source": origin[name].value,
            "file": secret_file(name) if origin[name] is Source.FILE else None,
        }
        for name in type(given).model_fields
    ]


def _display_value(value: Any) -> Any:
    return ("off", "on")[value] if isinstance(value, bool) else value


def _shown(field: str, value: Any) -> Any:
    from pydantic import SecretStr

    from outboxctl.net.urls import mask

    if not isinstance(value, SecretStr):
        return value
    secret = value.get_secret_value()
    if field == "database_url":
        return mask(secret)
    return ",".join(map(mask, secret.split(","))) if field == "elastic_url" else "***"
