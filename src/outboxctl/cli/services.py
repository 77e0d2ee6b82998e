"""`services`: a local PostgreSQL and search engine for a laptop or CI."""

from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import rendering
from outboxctl.cli.options import ElasticIndex, Json, group, print_progress, settings
from outboxctl.domain.printable import export

if TYPE_CHECKING:
    from outboxctl.drills.services import Service, Services
    from outboxctl.settings import Settings

ACCESS = (
    "Every user of this machine can log in to both: PostgreSQL's password is in the documentation, and {}"
    " asks for no login: in a browser here, {} can write to it. Keep no data here that others may not read"
    " or change."
)
NONE = "no services: `outboxctl services up` starts them"
LOCAL = {"database_url": "postgresql://127.0.0.1", "elastic_url": "http://127.0.0.1:9200"}
LAB_INDEX = "wordloom-test-search-index"  # which the original lab document exports
app = group("A local PostgreSQL and search engine for a laptop or CI.")


class Search(StrEnum):
    """Which search engine; `auto` takes the first that this machine can run.

    `elasticsearch` is version 9 and `opensearch` version 2.
    """

    AUTO = "auto"
    DOCKER = "docker"
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
    elastic_index: ElasticIndex = None,
    json: Json = False,
) -> None:
    """Start both, create the index and that of the lab document, and print the lines to export.

    Docker where it answers; else PostgreSQL from a wheel, and Elasticsearch by Maven and a JDK 21 or
    newer, or noida-db, a small imitation of it. Where a port is taken, the next free one is used, and
    what that changes is printed on stderr.

    Example: outboxctl services up --search elasticsearch
    """
    from outboxctl.drills.services import up as start
    from outboxctl.drills.services.moved import asked_port, warning

    say = rendering.console(stderr=True).print
    settings(**LOCAL, elastic_index=elastic_index)  # a bad one is an error before anything is started
    running = start(search=search.value, postgres_port=postgres_port, search_port=search_port, say=say)
    urls = {"database_url": running.postgres.url, "elastic_url": running.search.url}
    configured = settings(**urls, elastic_index=elastic_index)
    indexes = _make_indexes(configured)
    both = [(running.postgres, postgres_port), (running.search, search_port)]
    requested = [(service, asked_port(service, port)) for service, port in both]
    if json:
        rows = [_row(service) | {"asked_port": port} for service, port in requested]
        rendering.emit_json({"services": rows, "indexes": indexes})
    else:
        _print_exports(running, configured.elastic_index, requested)
    # A browser lets pages send requests to 127.0.0.1.
    pages = "every web page" if running.search.kind == "noida" else "a web page by DNS rebinding"
    print_progress(ACCESS.format(running.search.url, pages))
    for line in filter(None, (warning(service, port) for service, port in requested)):
        print_progress(line)


def _make_indexes(settings: "Settings") -> list[str]:
    from outboxctl.sink.index.index_setup import ensure
    from outboxctl.sink.transport.open import connect

    names = list(dict.fromkeys([settings.elastic_index, LAB_INDEX]))
    with closing(connect(settings)) as client:
        for name in names:
            ensure(client, name)
    return names


def _print_exports(running: "Services", index: str, requested: "list[tuple[Service, int]]") -> None:
    typer.echo(export("DATABASE_URL", running.postgres.url))
    typer.echo(export("ELASTIC_URL", running.search.url))
    typer.echo(export("ELASTIC_INDEX", index))
    # Last: an `eval $(…)` without quotes makes one line of all, in which a comment hides what follows.
    for service, port in requested:
        if service.port != port:
            typer.echo(f"# {service.role} listens on port {service.port}, not on {port}")


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Delete their data as well.")] = False,
    json: Json = False,
) -> None:
    """End exactly what `up` started; the data stays unless purged.

    Example: outboxctl services down --purge
    """
    from outboxctl.drills.services import down as end

    ended = end(purge=purge, say=rendering.console(stderr=True).print)
    lines = [] if ended else ["nothing was running"]
    rendering.show({"ended": [_row(service) for service in ended]}, lambda: lines, json=json)


@app.command()
def status(json: Json = False) -> None:
    """Show which services run, and in what they differ from real ones.

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
