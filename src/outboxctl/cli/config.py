"""`config show`: every setting, where its value came from, secrets masked."""

from typing import Any

import typer

from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, settings

app = typer.Typer(help="The settings in force.", no_args_is_help=True)


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
    from outboxctl.cli import render
    from outboxctl.settings import Settings, Source, env_names, secret_file, sources

    flags = {"database_url": database_url, "elastic_url": elastic_url, "elastic_index": elastic_index}
    given, origin = settings(**flags), sources(**flags)
    rows = [
        {
            "setting": env_names(name)[0],
            "value": _shown(name, getattr(given, name)),
            "source": origin[name].value,
            "file": secret_file(name) if origin[name] is Source.FILE else None,
        }
        for name in Settings.model_fields
    ]
    if json:
        render.emit_json({"settings": rows})
    else:
        cells = [(row["setting"], row["value"], row["file"] or row["source"]) for row in rows]
        render.console().print(render.table("Settings", ("setting", "value", "from"), cells))


def _shown(field: str, value: Any) -> Any:
    from pydantic import SecretStr

    from outboxctl.urls import mask

    if not isinstance(value, SecretStr):
        return value
    secret = value.get_secret_value()
    if field == "database_url":
        return mask(secret)
    return ",".join(map(mask, secret.split(","))) if field == "elastic_url" else "***"
