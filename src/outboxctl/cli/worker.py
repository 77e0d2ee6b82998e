"""`worker`: the daemon."""
# ruff: noqa: ARG001 - the flags are read from the context

import gc
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli.guards import checked_database, refuse_if_read_only
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, settings

if TYPE_CHECKING:
    from outboxctl.worker.tracing import Tracing


Whole = int | None
Seconds = float | None


def _option(name: str, text: str) -> Any:
    return typer.Option(help=f"{text} [env: OUTBOX_{name}].")


def worker(
    ctx: typer.Context,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    worker_id: Annotated[str | None, _option("WORKER_ID", "Name of this worker, for people")] = None,
    metrics_port: Annotated[Whole, _option("METRICS_PORT", "Port of /metrics, /healthz, /readyz")] = None,
    metrics_host: Annotated[str | None, _option("METRICS_HOST", "Address to listen on")] = None,
    bulk_size: Annotated[Whole, _option("BULK_SIZE", "Events a claim and bulk request")] = None,
    concurrency: Annotated[Whole, _option("CONCURRENCY", "Batches in flight")] = None,
    poll_interval_seconds: Annotated[Seconds, _option("POLL_INTERVAL_SECONDS", "Longest idle wait")] = None,
    lease_seconds: Annotated[
        Seconds, _option("LEASE_SECONDS", "How long a claim belongs to the worker")
    ] = None,
    reclaim_interval_seconds: Annotated[
        Seconds, _option("RECLAIM_INTERVAL_SECONDS", "Between two reclaims")
    ] = None,
    max_processing_seconds: Annotated[
        Seconds, _option("MAX_PROCESSING_SECONDS", "Processing longer than this is stuck")
    ] = None,
    max_attempts: Annotated[Whole, _option("MAX_ATTEMPTS", "Attempts before an event fails")] = None,
    base_backoff_seconds: Annotated[Seconds, _option("BASE_BACKOFF_SECONDS", "First retry's step")] = None,
    max_backoff_seconds: Annotated[Seconds, _option("MAX_BACKOFF_SECONDS", "Longest retry's step")] = None,
    outage_policy: Annotated[
        str | None, _option("OUTAGE_POLICY", "`count` burns attempts, `hold` gives them back")
    ] = None,
    shutdown_grace_seconds: Annotated[
        Seconds, _option("SHUTDOWN_GRACE_SECONDS", "Time to end after SIGTERM")
    ] = None,
    drain: Annotated[
        bool,
        typer.Option("--drain", help="Exit 0 once nothing is due; serves no probes where the port is busy."),
    ] = False,
) -> None:
    """Run the worker: claim due events, deliver them to the search engine, settle; until SIGTERM.

    SIGTERM or ^C finishes what is in flight within the grace, releases the rest and exits 0.

    Example: outboxctl worker --metrics-port 9109
    """
    # Nothing that is loaded is freed again: to collect it meanwhile is a sixth of the start. See the daemon.
    gc.disable()
    configured = settings(**{name: value for name, value in ctx.params.items() if name != "drain"})
    refuse_if_read_only(configured, "deliver events")

    from outboxctl.cli import logs
    from outboxctl.core.inspect.rights import require_worker
    from outboxctl.core.inspect.server import require_supported
    from outboxctl.sink.opening import IndexSink, OpeningSink, sink_of
    from outboxctl.worker.daemon import Daemon
    from outboxctl.worker.wiring import WorkerParts

    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    tracing = _tracing(configured.worker_id)
    logs.configure(colour=colour, more=[tracing.log_ids] if tracing else [])
    # One connection more, for deletes that are repeated.
    sink = OpeningSink(configured, connections=configured.concurrency + 1, say=_say_of_nodes)
    probe = OpeningSink(configured, connections=1, timeout=1.5)
    with checked_database(
        configured,
        connections=configured.concurrency + 6,
        longest=configured.transaction_seconds,
        lock_timeout=configured.lock_seconds,
        local_commits=True,
    ) as db:
        with db.begin() as connection:
            require_supported(connection, db.name)
            require_worker(connection, db.name)
        own = IndexSink(sink, configured.elastic_index)
        parts = WorkerParts(
            configured, db, own, sink_of=partial(sink_of, sink), ping=probe.ping, tracing=tracing
        )
        Daemon(parts).run(drain=drain)


def _tracing(worker_id: str) -> "Tracing | None":
    """Spans where the process has an SDK of OpenTelemetry, as by `opentelemetry-instrument`; else none."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return None
    from outboxctl.worker.tracing import Tracing

    return Tracing(worker_id)


def _say_of_nodes(problem: str) -> None:
    import structlog

    structlog.get_logger().warning("nodes of the sink", problem=problem)
