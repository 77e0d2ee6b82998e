"""The settings of a worker that runs: how much, how often, how long."""

import os
import re
import socket

from pydantic import Field, field_validator

from outboxctl.domain.printable import CONTROL
from outboxctl.settings.connections import ConnectionSettings
from outboxctl.settings.kinds import Count, NotifyPolicy, OutagePolicy, Port, Seconds

DELIVERY_SHARE = 0.75  # of the lease: a request must have ended by then, and leave time to settle

NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")  # of a host


class Running(ConnectionSettings):
    """What it does with both ends."""

    worker_id: str = Field(
        default_factory=lambda: f"{socket.gethostname()[:80]}:{os.getpid()}",
        validation_alias="OUTBOX_WORKER_ID",
        description="name of this worker, for people; never the fence",
        min_length=1,
        max_length=120,
    )
    metrics_port: Port = Field(
        9108, validation_alias="OUTBOX_METRICS_PORT", description="port of /metrics, /healthz and /readyz"
    )
    metrics_host: str = Field(
        "127.0.0.1",
        validation_alias="OUTBOX_METRICS_HOST",
        description="address they listen on",
        min_length=1,
    )
    metrics_names: str | None = Field(
        None,
        validation_alias="OUTBOX_METRICS_NAMES",
        description="names in public domains by which they may be asked, comma-separated",
    )
    bulk_size: Count = Field(
        1_000,
        validation_alias="OUTBOX_BULK_SIZE",
        description="events per claim and per bulk request",
        le=10_000,
    )
    max_batch_bytes: int = Field(
        8_000_000,
        validation_alias="OUTBOX_MAX_BATCH_BYTES",
        description="bytes of documents in one batch; a larger document goes alone",
        ge=1,
        le=1_000_000_000,
    )
    concurrency: Count = Field(
        3, validation_alias="OUTBOX_CONCURRENCY", description="batches in flight in one worker", le=64
    )
    poll_interval_seconds: Seconds = Field(
        1.0,
        validation_alias="OUTBOX_POLL_INTERVAL_SECONDS",
        description="the longest idle wait between claims",
    )
    notify: NotifyPolicy = Field(
        NotifyPolicy.AUTO,
        validation_alias="OUTBOX_NOTIFY",
        description="`auto`: listen for new events where `db notify on` was run; `off`: only poll",
    )
    lease_seconds: Seconds = Field(
        30.0,
        validation_alias="OUTBOX_LEASE_SECONDS",
        description="how long a claim belongs to its worker; at least 1",
        ge=1,
    )
    reclaim_interval_seconds: Seconds = Field(
        5.0,
        validation_alias="OUTBOX_RECLAIM_INTERVAL_SECONDS",
        description="how often stuck events are looked for",
    )
    max_processing_seconds: Seconds = Field(
        600.0,
        validation_alias="OUTBOX_MAX_PROCESSING_SECONDS",
        description="processing longer than this is stuck",
    )
    max_attempts: Count = Field(
        30,  # outlives six minutes of outage: docs/adr/0033-attempts-outlive-a-restart.md
        validation_alias="OUTBOX_MAX_ATTEMPTS",
        description="attempts before an event fails for good",
    )
    base_backoff_seconds: Seconds = Field(
        0.5,
        validation_alias="OUTBOX_BASE_BACKOFF_SECONDS",
        description="the first step of the backoff; it doubles, jittered",
    )
    max_backoff_seconds: Seconds = Field(
        30.0, validation_alias="OUTBOX_MAX_BACKOFF_SECONDS", description="the longest step"
    )
    outage_policy: OutagePolicy = Field(
        OutagePolicy.COUNT,
        validation_alias="OUTBOX_OUTAGE_POLICY",
        description="`count`: an outage burns attempts; `hold`: gives them back, and probes",
    )
    shutdown_grace_seconds: Seconds = Field(
        25.0,
        validation_alias="OUTBOX_SHUTDOWN_GRACE_SECONDS",
        description="how long SIGTERM lets batches in flight end",
    )
    sla_oldest_age_seconds: Seconds = Field(
        300.0,
        validation_alias="OUTBOX_SLA_OLDEST_AGE_SECONDS",
        description="`check` and readiness: events are due and nothing succeeded for this long",
    )
    tracing: bool = Field(
        False,
        validation_alias="OUTBOX_TRACING",
        description="`on`: the worker sends spans by OTLP, as OpenTelemetry's own variables say",
    )
    read_only: bool = Field(
        False,
        validation_alias="OUTBOX_READ_ONLY",
        description="refuse every command that would change something",
    )

    @field_validator("worker_id", "metrics_host")
    @classmethod
    def _printable(cls, value: str) -> str:
        if CONTROL.search(value) or not value.strip():
            raise ValueError("blank, or holds control characters")
        return value

    @field_validator("metrics_names")
    @classmethod
    def _names(cls, value: str | None) -> str | None:
        wrong = next((name for name in _split(value or "") if not NAME.fullmatch(name)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is no host name; give names without a scheme and without a port")
        return value

    @property
    def probe_names(self) -> list[str]:
        """The names in `metrics_names`."""
        return _split(self.metrics_names or "")

    @property
    def delivery_seconds(self) -> float:
        """Seconds that one request to the sink may take: three quarters of the lease."""
        return self.lease_seconds * DELIVERY_SHARE

    @property
    def transaction_seconds(self) -> float:
        """Seconds until a worker's transaction is given up: its server may never answer."""
        return max(5.0, min(self.lease_seconds, 30.0))

    @property
    def lock_seconds(self) -> float:
        """Seconds that a worker's statement waits for a lock: what else is in its hands must not go stale."""
        return min(1.0, self.lease_seconds / 4)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
