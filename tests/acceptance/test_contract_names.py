"""The names that users, scripts and dashboards rely on: one that is missing is a new major version.

Written out here, and asked of the program as a user would: nothing is imported from it.
"""

from collections.abc import Callable

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from processes import Cli, Worker, eventually

DEFAULTS = {
    "DATABASE_URL": None,
    "ELASTIC_URL": "http://localhost:9200",
    "ELASTIC_INDEX": "outbox-search-index",
    **dict.fromkeys(("ELASTIC_API_KEY", "ELASTIC_USERNAME", "ELASTIC_PASSWORD", "ELASTIC_CA_CERTS")),
    "OUTBOX_ENV": None,
    "OUTBOX_METRICS_PORT": 9108,
    "OUTBOX_METRICS_HOST": "127.0.0.1",
    "OUTBOX_POLL_INTERVAL_SECONDS": 1.0,
    "OUTBOX_LEASE_SECONDS": 30,
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": 5,
    "OUTBOX_MAX_PROCESSING_SECONDS": 600,
    "OUTBOX_BASE_BACKOFF_SECONDS": 0.5,
    "OUTBOX_MAX_BACKOFF_SECONDS": 30,
    "OUTBOX_SHUTDOWN_GRACE_SECONDS": 25,
    "OUTBOX_SLA_OLDEST_AGE_SECONDS": 300,
}
SETTINGS = {
    *DEFAULTS,
    *(f"OUTBOX_{n}" for n in ["WORKER_ID", "BULK_SIZE", "CONCURRENCY", "MAX_ATTEMPTS", "OUTAGE_POLICY"]),
}
COMMANDS = """
worker; status; stuck; oldest; failed list; failed show; failed discard; failed undo; replay;
audit;
inject bad-op; inject event; inject load; chaos; lab list; lab run; lab report; check; doctor; db upgrade;
db current; db sql; db check; db mark; prune; verify; rebuild; services up; services down; services status;
explain; projection init; projection plan; projection apply; projection list; projection show;
projection preview; projection drop; projection sql; config show; demo"""
FLAGS = {
    "worker": "--drain",
    "status": "--watch --json",
    "stuck": "--limit --json",
    "oldest": "--limit --json",
    "failed list": "--json",
    "replay": "--by --reason --limit --dry-run --id --error-reason --entity-type --since --until --json",
    "inject load": "--count",
    "prune": "--older-than",
    "rebuild": "--yes",
    "db mark": "--by --reason",
    "services up": "--docker",
    "lab list": "--json",
}
EVENTS = """
id uuid; entity_type character varying; entity_id uuid; op character varying; event_version bigint;
status character varying; owner character varying; lease_until timestamp with time zone;
processing_started_at timestamp with time zone; attempts integer; next_retry_at timestamp with time zone;
processed_at timestamp with time zone; error_reason character varying; error text; replay_count integer;
last_replayed_at timestamp with time zone; last_replayed_by character varying; last_replayed_reason text;
created_at timestamp with time zone; updated_at timestamp with time zone"""
ROWS = """
id uuid; entity_type character varying; entity_id uuid; library_id; text text; snippet text; rank_score;
event_version bigint; created_at timestamp with time zone; updated_at timestamp with time zone"""
METRICS = {
    "outbox_lag_events outbox_oldest_age_seconds outbox_inflight_events outbox_stuck_processing_events": (
        "projection",
    ),
    "outbox_processed": ("projection", "op"),
    "outbox_failed outbox_retry_scheduled outbox_terminal_failed outbox_idempotent_noop": (
        "projection",
        "op",
        "reason",
    ),
    "outbox_es_bulk_requests": ("projection", "result"),
    "outbox_es_bulk_items": ("projection", "op", "result"),
    "outbox_last_success_timestamp_seconds outbox_reclaimed outbox_lease_lost": (),
    "outbox_es_bulk_request_duration_seconds": (),
}
REASONS = """
deterministic_exception bad_document payload_too_large source_not_visible mapping bad_request config
rate_limited disk_full write_blocked auth index_unavailable unavailable gateway server_error connect tls
timeout connection_lost bad_response discarded lease_expired unknown_exception"""
STATUS = {"projection", "status", "stuck", "lag", "oldest_age_seconds", "oldest_pending", "failed_by_reason"}


def test_settings_have_their_names_and_defaults(cli: Cli) -> None:
    unset = dict.fromkeys(DEFAULTS, "")
    shown = {each["setting"]: each["value"] for each in cli.json("config", "show", env=unset)["settings"]}
    assert shown.keys() >= SETTINGS
    assert {name: shown[name] for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("command", [each.strip() for each in COMMANDS.split(";")])
def test_commands_have_their_names_and_flags(cli: Cli, command: str) -> None:
    told = cli.ok(*command.split(), "--help", env={"COLUMNS": "200"})
    assert [flag for flag in FLAGS.get(command, "").split() if flag not in told] == []


@pytest.mark.parametrize(("table", "columns"), [("search_outbox_events", EVENTS), ("search_index", ROWS)])
def test_tables_have_their_columns(sql: psycopg.Connection, table: str, columns: str) -> None:
    query = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
    there: dict[str, str] = dict(sql.execute(query, [table]).fetchall())
    wanted = (each.split(maxsplit=1) for each in columns.split(";"))
    assert [(name, *type_) for name, *type_ in wanted if [there.get(name)] != (type_ or [there[name]])] == []


def test_series_have_their_names_and_labels(worker: Callable[..., Worker]) -> None:
    running = worker()
    eventually(lambda: running.get("/metrics")[0] == 200)
    found = {family.name: family for family in text_string_to_metric_families(running.get("/metrics")[1])}
    for names, labels in METRICS.items():
        for name in names.split():
            for sample in found[name].samples:
                assert sample.labels.keys() - {"le"} >= {*labels}, name


def test_answers_of_status_and_the_closed_set_of_reasons(cli: Cli) -> None:
    assert cli.json("status").keys() >= STATUS
    assert cli.json("stuck").keys() & cli.json("oldest").keys() >= {"events"}
    for reason in REASONS.split():
        assert reason in cli.ok("explain", reason)
