"""`worker`: the daemon."""

import gc
from typing import Annotated

import typer

from outboxctl.cli.guards import refuse_if_read_only
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, checked_database, settings


def _setting(name: str, text: str, env: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, help=f"{text} [env: {env}].", show_default=False)
    return option


def worker(
    drain: Annotated[
        bool,
        typer.Option("--drain", help="Exit 0 once nothing is due; serves no probes where the port is busy."),
    ] = False,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    worker_id: Annotated[
        str | None, _setting("--worker-id", "Name for people; never the fence", "OUTBOX_WORKER_ID")
    ] = None,
    metrics_port: Annotated[
        int | None, _setting("--metrics-port", "Port of /metrics, /healthz, /readyz", "OUTBOX_METRICS_PORT")
    ] = None,
    metrics_host: Annotated[
        str | None, _setting("--metrics-host", "Address to listen on", "OUTBOX_METRICS_HOST")
    ] = None,
    metrics_names: Annotated[
        str | None,
        _setting("--metrics-names", "Public names they may be asked by", "OUTBOX_METRICS_NAMES"),
    ] = None,
    bulk_size: Annotated[
        int | None, _setting("--bulk-size", "Events a claim and bulk request", "OUTBOX_BULK_SIZE")
    ] = None,
    max_batch_bytes: Annotated[
        int | None, _setting("--max-batch-bytes", "Bytes of documents in a batch", "OUTBOX_MAX_BATCH_BYTES")
    ] = None,
    concurrency: Annotated[
        int | None, _setting("--concurrency", "Batches in flight", "OUTBOX_CONCURRENCY")
    ] = None,
    poll_interval_seconds: Annotated[
        float | None,
        _setting("--poll-interval-seconds", "Longest idle wait", "OUTBOX_POLL_INTERVAL_SECONDS"),
    ] = None,
    notify: Annotated[
        str | None,
        _setting("--notify", "`auto` listens after `db notify on`, `off` polls", "OUTBOX_NOTIFY"),
    ] = None,
    lease_seconds: Annotated[
        float | None, _setting("--lease-seconds", "How long a claim is ours", "OUTBOX_LEASE_SECONDS")
    ] = None,
    reclaim_interval_seconds: Annotated[
        float | None,
        _setting("--reclaim-interval-seconds", "Between two reclaims", "OUTBOX_RECLAIM_INTERVAL_SECONDS"),
    ] = None,
    max_processing_seconds: Annotated[
        float | None,
        _setting(
            "--max-processing-seconds",
            "Processing longer than this is stuck",
            "OUTBOX_MAX_PROCESSING_SECONDS",
        ),
    ] = None,
    max_attempts: Annotated[
        int | None, _setting("--max-attempts", "Attempts before an event fails", "OUTBOX_MAX_ATTEMPTS")
    ] = None,
    base_backoff_seconds: Annotated[
        float | None, _setting("--base-backoff-seconds", "First retry's step", "OUTBOX_BASE_BACKOFF_SECONDS")
    ] = None,
    max_backoff_seconds: Annotated[
        float | None, _setting("--max-backoff-seconds", "Longest retry's step", "OUTBOX_MAX_BACKOFF_SECONDS")
    ] = None,
    outage_policy: Annotated[
        str | None,
        _setting("--outage-policy", "`count` burns attempts, `hold` gives them back", "OUTBOX_OUTAGE_POLICY"),
    ] = None,
    tracing: Annotated[
        bool | None,
        typer.Option(
            "--tracing/--no-tracing",
            help="Send spans by OTLP; needs `outboxctl[tracing]` [env: OUTBOX_TRACING].",
            show_default=False,
        ),
    ] = None,
    shutdown_grace_seconds: Annotated[
        float | None,
        _setting("--shutdown-grace-seconds", "Time to end after SIGTERM", "OUTBOX_SHUTDOWN_GRACE_SECONDS"),
    ] = None,
) -> None:
    """Run the worker: claim due events, deliver them to the sink, settle; until SIGTERM.

    SIGTERM or ^C finishes what is in flight within the grace, releases the rest and exits 0.

    Example: outboxctl worker --metrics-port 9109
    """
    # Nothing that is loaded goes away again: collecting it meanwhile is a sixth of the start. See the daemon.
    gc.disable()
    flags = {name: value for name, value in locals().items() if name != "drain"}
    given = settings(**flags)
    refuse_if_read_only(given, "deliver events")

    import os
    import sys

    from outboxctl.cli import logs
    from outboxctl.cli.worker.tracing import log_ids_of, tracing_of
    from outboxctl.core.schema.encoding import require_storable
    from outboxctl.sink.transport.lazy import OpeningSink
    from outboxctl.worker.daemon import Daemon

    logs.configure(colour=sys.stderr.isatty() and not os.environ.get("NO_COLOR"), more=log_ids_of(given))
    spans = tracing_of(given)
    sink = OpeningSink(given, connections=given.concurrency)
    probe = OpeningSink(given, connections=1, timeout=1.5)
    with checked_database(
        given,
        connections=given.concurrency + 3,
        longest=given.transaction_seconds,
        lock_timeout=given.lock_seconds,
    ) as db:
        require_storable(db, "OUTBOX_WORKER_ID", given.worker_id)
        Daemon(given, db, sink, probe, spans).run(drain=drain)
