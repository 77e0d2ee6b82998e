"""`bench`: the rates of the user's own servers, and how near the worker comes to them."""

from pathlib import Path
from typing import Annotated

import typer

from outboxctl.cli.options import Json, NotProduction
from outboxctl.cli.services import Search


def bench(
    events: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="Events a measurement.")] = 20_000,
    size: Annotated[
        int, typer.Option("--bytes", min=200, max=1_000_000, help="JSON of a document, about.")
    ] = 600,
    repeat: Annotated[int, typer.Option(min=1, max=50, help="Repetitions.")] = 5,
    concurrency: Annotated[
        str | None, typer.Option(help="Lanes, or several to find the best of [default: OUTBOX_CONCURRENCY].")
    ] = None,
    bulk_size: Annotated[
        str | None,
        typer.Option(help="Events a batch, or several to find the best of [default: OUTBOX_BULK_SIZE]."),
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="On servers of its own, started for the run.")] = False,
    search: Annotated[Search, typer.Option(help="With --own: which search engine.")] = Search.AUTO,
    out: Annotated[Path | None, typer.Option(help="A folder for bench.json, bench.md and bench.svg.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    sure: NotProduction = False,
    json: Json = False,
) -> None:
    """Measure what the sink and the database take alone, and what the real worker makes of both.

    On the servers of DATABASE_URL and ELASTIC_URL, in a schema and an index of its own that are removed
    at the end; or on servers of its own. It says which of the three is the limit and what to change.

    Example: outboxctl bench --own --concurrency 1,2,4 --bulk-size 500,1000,2000
    """
    from outboxctl.cli.bench import bench_run, view
    from outboxctl.drills.scratch.folder import SignalReceived

    settings = bench_run.user_settings(own=own, search=search.value)
    options = bench_run.checked_options(settings, events, size, repeat, concurrency, bulk_size)
    out_folder = bench_run.folder(out)
    names = bench_run.prepared(settings, options, own=own, yes=yes, sure=sure)
    try:
        report, number = bench_run.run(settings, names, options, search.value)
    except SignalReceived as signal:
        raise typer.Exit(signal.code) from None
    view.show(report, out_folder, json=json)
    if number:
        raise typer.Exit(128 + number)
