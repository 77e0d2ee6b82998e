"""`index roles`: who may do what in the search engine."""

from typing import Annotated

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.options import ElasticIndex, ElasticUrl, Json, settings


def roles(
    curl: Annotated[
        bool, typer.Option("--curl", help="Print the requests that make them; nothing is sent.")
    ] = False,
    api_keys: Annotated[
        bool, typer.Option("--api-keys", help="An API key for each in place of a role.")
    ] = False,
    expiration: Annotated[
        str, typer.Option(help="How long an API key lives, such as 90d; else without an end.")
    ] = "",
    engine: Annotated[str, typer.Option(help="elasticsearch or opensearch.")] = "elasticsearch",
    prefix: Annotated[str, typer.Option(help="What the roles' names begin with.")] = "outbox_",
    also: Annotated[
        list[str] | None,
        typer.Option(help="A further index or pattern, such as one behind the alias; repeatable."),
    ] = None,
    projection_index: Annotated[
        list[str] | None, typer.Option(help="The index of a projection, as its file names it; repeatable.")
    ] = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Show what a worker, an operator and a viewer may do in the search engine; --curl makes it so.

    curl sends the credentials of ELASTIC_API_KEY or ELASTIC_USERNAME, which must be those of somebody who may
    manage security; without any it asks for the password of elastic (OpenSearch: admin).

    Example: outboxctl index roles --curl

    Example: outboxctl index roles --curl --api-keys --prefix worker-1. --expiration 90d
    """
    from outboxctl.operations.doctor import remedies
    from outboxctl.sink.engines import ENGINES
    from outboxctl.sink.roles import GRANTS, orders

    configured = settings(elastic_url=elastic_url, elastic_index=elastic_index)
    product = ENGINES[parse.one_of("--engine", engine, list(ENGINES), "engine")]
    projected = [parse.index_name("--projection-index", each) for each in projection_index or ()]
    requests = orders(
        product,
        configured.elastic_index,
        projected=projected,
        also=also or (),
        prefix=prefix,
        keys=api_keys,
        expiration=expiration,
    )
    if curl and not json:
        for each in requests:
            command = remedies.request(each.method, each.path, each.body)
            typer.echo(remedies.reaching(command, configured, user=product.administrator))
        return
    bodies = [{"role": r.role, "method": r.method, "path": r.path, "body": r.body} for r in requests]
    rows = [
        (prefix + g.role, ", ".join(g.index), ", ".join(g.projected), ", ".join(g.cluster) or "none", g.why)
        for g in GRANTS
    ]
    on = ", ".join([configured.elastic_index, *projected])
    columns = ("role", f"on {on}", "also on indexes of projections", "cluster", "for")
    table = rendering.table("Rights in the search engine", columns, rows)
    rendering.show({"engine": product.name, "roles": bodies}, lambda: [table], json=json)
