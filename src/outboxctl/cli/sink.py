"""`sink`: what concerns the search engine alone."""

from typing import Annotated

import typer

from outboxctl.cli.groups import group
from outboxctl.cli.options import ElasticIndex, ElasticUrl, Json, settings

app = group("The sink: who may do what there.")


@app.callback()
def _group() -> None:
    """Keep `roles` a subcommand although it is the only one."""


@app.command()
def roles(
    curl: Annotated[
        bool, typer.Option("--curl", help="Print the requests that make them; nothing is sent.")
    ] = False,
    api_keys: Annotated[
        bool, typer.Option("--api-keys", help="An API key for each in place of a role.")
    ] = False,
    engine: Annotated[str, typer.Option(help="elasticsearch or opensearch.")] = "elasticsearch",
    prefix: Annotated[str, typer.Option("--prefix", help="What the roles' names begin with.")] = "outbox_",
    also: Annotated[
        list[str] | None,
        typer.Option("--also", help="A further index or pattern, such as one behind the alias; repeatable."),
    ] = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Show what a worker, an operator and a viewer may do in the sink; with --curl, how to make it so.

    Example: outboxctl sink roles --curl
    """
    from outboxctl.cli import parse, rendering
    from outboxctl.operations.doctor import remedies
    from outboxctl.sink.engines import ENGINES
    from outboxctl.sink.roles import GRANTS, orders

    given = settings(elastic_url=elastic_url, elastic_index=elastic_index)
    whose = ENGINES[parse.one_of("--engine", engine, list(ENGINES), "engine")]
    asked = orders(whose, given.elastic_index, also=also or (), prefix=prefix, keys=api_keys)
    if json:
        bodies = [{"role": o.role, "method": o.method, "path": o.path, "body": o.body} for o in asked]
        rendering.emit_json({"engine": whose.name, "roles": bodies})
    elif curl:
        for order in asked:
            typer.echo(remedies.reaching(remedies.request(order.method, order.path, order.body), given))
    else:
        rows = [(prefix + g.role, ", ".join(g.index), ", ".join(g.cluster) or "none", g.why) for g in GRANTS]
        heads = ("role", f"on {given.elastic_index}", "cluster", "for")
        rendering.console().print(rendering.table("Rights in the sink", heads, rows))
