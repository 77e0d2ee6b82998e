"""`services`: a local PostgreSQL and search engine for a laptop or CI."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.groups import group
from outboxctl.cli.options import ElasticIndex, Json, settings

if TYPE_CHECKING:
    from outboxctl.drills.services import Service, Services
    from outboxctl.settings import Settings

ACCESS = (
    "Every user of this machine can log in to both: PostgreSQL's password is in the documentation, and {}"
    " asks for no login: in a browser here, {} can write to it. Keep no data here that others may not read"
    " or change."
)
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
    what that changes is said on stderr.

    Example: outboxctl services up --search elasticsearch
    """
    from outboxctl.cli import rendering
    from outboxctl.drills.services import up as start
    from outboxctl.drills.services.moved import asked_port

    say = rendering.console(stderr=True).print
    running = start(search=search.value, postgres_port=postgres_port, search_port=search_port, say=say)
    ends = {"database_url": running.postgres.url, "elastic_url": running.search.url}
    given = settings(**ends, elastic_index=elastic_index)
    indexes = _make_indexes(given)
    both = [(running.postgres, postgres_port), (running.search, search_port)]
    asked = [(service, asked_port(service, port)) for service, port in both]
    if json:
        rows = [_row(service) | {"asked_port": port} for service, port in asked]
        rendering.emit_json({"services": rows, "indexes": indexes})
    else:
        _print_exports(running, given.elastic_index, asked)
    # A browser lets pages send requests to 127.0.0.1.
    pages = "every web page" if running.search.kind == "noida" else "a web page by DNS rebinding"
    typer.echo(ACCESS.format(running.search.url, pages), err=True)
    _warn_of_moved_ports(asked)


def _make_indexes(given: "Settings") -> list[str]:
    from contextlib import closing

    from outboxctl.sink.index.index_setup import ensure
    from outboxctl.sink.transport.open import connect

    names = list(dict.fromkeys([given.elastic_index, LAB_INDEX]))
    with closing(connect(given)) as client:
        for name in names:
            ensure(client, name)
    return names


def _print_exports(running: "Services", index: str, asked: "list[tuple[Service, int]]") -> None:
    from outboxctl.domain.shell import export

    typer.echo(export("DATABASE_URL", running.postgres.url))
    typer.echo(export("ELASTIC_URL", running.search.url))
    typer.echo(export("ELASTIC_INDEX", index))
    # Last: an `eval $(…)` without quotes makes one line of all, in which a comment hides what follows.
    for service, port in asked:
        if service.port != port:
            typer.echo(f"# {service.role} listens on port {service.port}, not on {port}")


def _warn_of_moved_ports(asked: "list[tuple[Service, int]]") -> None:
    from outboxctl.drills.services.moved import lines

    found = [line for service, port in asked for line in lines(service, port)]
    if found:
        typer.echo("\n".join(["", *found]), err=True)


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Delete their data as well.")] = False,
    json: Json = False,
) -> None:
    """End exactly what `up` started; the data stays unless purged.

    Example: outboxctl services down --purge
    """
    from outboxctl.cli import rendering
    from outboxctl.drills.services import down as end

    ended = end(purge=purge, say=rendering.console(stderr=True).print)
    if json:
        rendering.emit_json({"ended": [_row(service) for service in ended]})
    elif not ended:
        typer.echo("nothing was running")


@app.command()
def status(json: Json = False) -> None:
    """Show which services run, and what is not real about them.

    Example: outboxctl services status
    """
    from outboxctl.cli import rendering
    from outboxctl.drills.services import status as look

    rows = [_row(service) for service in look()]
    if json:
        rendering.emit_json({"services": rows})
    elif rows:
        columns = ("role", "kind", "version", "running", "pid", "url", "caveat")
        cells = [[row[name] for name in columns] for row in rows]
        rendering.console().print(rendering.table("Services", columns, cells))
    else:
        typer.echo("no services: `outboxctl services up` starts them")


def _row(service: "Service") -> dict[str, object]:
    from outboxctl.net.urls import mask

    return {
        "role": service.role,
        "kind": service.kind,
        "version": service.version,
        "running": "yes" if service.running else "no",
        "pid": service.pid,
        "port": service.port,
        "url": mask(service.url),
        "data": str(service.data),
        "started_at": service.started_at,
        "caveat": service.caveat,
    }
