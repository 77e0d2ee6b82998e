"""`roles`: who may do what in the database and in the search engine."""

from typing import Annotated

import typer

from outboxctl.cli import parse
from outboxctl.cli.options import settings


def roles(
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL for those of the database.")] = False,
    curl: Annotated[
        bool, typer.Option("--curl", help="Print the requests for those of the search engine.")
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
) -> None:
    """Print what makes the roles of a worker, an operator, a viewer and a producer; nothing is run or sent.

    Without --sql or --curl both are printed. curl sends the credentials of ELASTIC_API_KEY or
    ELASTIC_USERNAME, which must be those of somebody who may manage security; without any it asks for the
    password of elastic (OpenSearch: admin).

    Example: outboxctl roles --sql | psql -v ON_ERROR_STOP=1 service=owner

    Example: outboxctl roles --curl --projection-index products
    """
    from outboxctl.core.schema.roles import roles_sql

    lines = [roles_sql(prefix, schema)] if sql or not curl else []
    if curl or not sql:
        lines += _requests(engine, projection_index or [], prefix, api_keys=api_keys)
    typer.echo("\n".join(lines))


def _requests(engine: str, projection_index: list[str], prefix: str, *, api_keys: bool) -> list[str]:
    from outboxctl.operations.doctor import remedies
    from outboxctl.sink.engines import ENGINES
    from outboxctl.sink.roles import orders

    configured, product = settings(), ENGINES[parse.one_of("--engine", engine, list(ENGINES), "engine")]
    projected = [parse.index_name("--projection-index", each) for each in projection_index]
    asked = orders(product, configured.elastic_index, projected=projected, prefix=prefix, keys=api_keys)
    commands = [remedies.request(each.method, each.path, each.body) for each in asked]
    return [remedies.reaching(each, configured, user=product.administrator) for each in commands]
