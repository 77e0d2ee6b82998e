"""`roles`: who may do what in the database and in the search engine."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.options import Json, settings
from outboxctl.domain.errors import UsageError

if TYPE_CHECKING:
    from outboxctl.sink.roles import SecurityRequest


def roles(
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL that makes those of the database; nothing is run.")
    ] = False,
    curl: Annotated[
        bool,
        typer.Option("--curl", help="Print the requests that make those of the search engine; none is sent."),
    ] = False,
    prefix: Annotated[
        str, parse.option("--prefix", parse.words, 63, help="What the roles' names begin with.")
    ] = "outbox_",
    schema: Annotated[
        str, parse.option("--schema", parse.words, 63, help="Where the tables are.")
    ] = "public",
    engine: Annotated[str, typer.Option(help="elasticsearch or opensearch.")] = "elasticsearch",
    projection_index: Annotated[
        list[str] | None, typer.Option(help="The index of a projection, as its file names it; repeatable.")
    ] = None,
    api_keys: Annotated[
        bool, typer.Option("--api-keys", help="Of Elasticsearch: an API key for each in place of a role.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a worker, an operator, a viewer and a producer may do; --sql and --curl make it so.

    curl sends the credentials of ELASTIC_API_KEY or ELASTIC_USERNAME, which must be those of somebody who may
    manage security; without any it asks for the password of elastic (OpenSearch: admin).

    Example: outboxctl roles --sql | psql -v ON_ERROR_STOP=1 service=owner

    Example: outboxctl roles --curl --projection-index products
    """
    from outboxctl.core.schema.roles import REVOKED, RIGHTS, roles_sql
    from outboxctl.operations.doctor import remedies
    from outboxctl.sink.engines import ENGINES
    from outboxctl.sink.roles import orders

    if sql and curl:
        raise UsageError("--sql and --curl are for two servers", hint="ask for one of them")
    script = roles_sql(prefix, schema)
    if sql:
        typer.echo(script)
        return
    configured, product = settings(), ENGINES[parse.one_of("--engine", engine, list(ENGINES), "engine")]
    projected = [parse.index_name("--projection-index", each) for each in projection_index or ()]
    requests = orders(product, configured.elastic_index, projected=projected, prefix=prefix, keys=api_keys)
    if curl and not json:
        for each in requests:
            command = remedies.request(each.method, each.path, each.body)
            typer.echo(remedies.reaching(command, configured, user=product.administrator))
        return
    report = {
        "rights": [asdict(right) for right in RIGHTS],
        "revoked": [{"from": whom, "verbs": verbs, "on": on} for whom, verbs, on in REVOKED],
        "engine": product.name,
        "roles": [_plain(each) for each in requests],
    }
    names = ", ".join([configured.elastic_index, *projected])
    rendering.show(report, lambda: _tables(prefix, names), json=json)


def _plain(request: "SecurityRequest") -> dict[str, object]:
    return {"role": request.role, "method": request.method, "path": request.path, "body": request.body}


def _tables(prefix: str, names: str) -> Sequence[object]:
    from outboxctl.core.schema.roles import REVOKED, RIGHTS
    from outboxctl.sink.roles import GRANTS

    rows = [(prefix + r.role, r.verbs, r.table, ", ".join(r.columns) or "all") for r in RIGHTS]
    grants = [
        (prefix + g.role, ", ".join(g.index), ", ".join(g.projected), ", ".join(g.cluster) or "none", g.why)
        for g in GRANTS
    ]
    columns = ("role", f"on {names}", "also on indexes of projections", "cluster", "for")
    return (
        rendering.table(
            "Rights in the database", ("role", "may", "table", "columns"), rows, longest=2_000, widest=44
        ),
        rendering.table("Revoked before that", ("from", "what", "on"), REVOKED),
        rendering.table("Rights in the search engine", columns, grants),
    )
