"""The rows of the failure table: what may arrive, and how the row must end. Each has a test of its name."""

# key: (what arrives, verdict, reason or no-op counter), the words of `failures.md`.
BEFORE_SENDING = {
    "deterministic_exception": (
        "unknown op; event_version NULL or out of 0..2^63-1; id over 512 bytes",
        "fail, attempts = 1",
        "deterministic_exception",
    ),
    "bad_document": (
        "document that cannot be written as strict JSON in UTF-8; over the sink's request limit by itself",
        "fail that row only",
        "bad_document, payload_too_large",
    ),
    "source_missing": ("upsert whose source row is gone", "a versioned delete, done", "source_missing"),
    "source_not_visible": ("source row older than the event's version", "retry", "source_not_visible"),
    "unchanged": (
        "document that the index is known to hold as it is, with `skip_unchanged`",
        "not sent, done",
        "unchanged",
    ),
    "coalesced": ("several events of one entity in one batch", "newest sent, all done", "coalesced"),
}
WHAT_COMES_BACK = {
    "done": ("item 2xx with result created, updated or deleted", "done", ""),
    "dropped": ("item 2xx with result `noop` (an ingest pipeline dropped it)", "done", "dropped"),
    "delete_missing": ("delete, item 404 without `error`", "done", "delete_missing"),
    "superseded": ("item 409 version conflict under `external_gte`", "done", "superseded"),
    "mapping": (
        "item 400 document or mapper parsing, strict mapping, field limit, immense term",
        "fail",
        "mapping",
    ),
    "item_400": ("item 400, other", "fail", "bad_request"),
    "bisect": (
        "request 400 because of one item",
        "bisect; alone: fail, but only where the answer is an engine's and the sink takes something else",
        "bad_request",
    ),
    "config": (
        "request 400/406 that every request gets; a body that is no engine's error",
        "outage, also for an event that is alone and for the circuit's probe",
        "config",
    ),
    "rate_limited": (
        "429, rejected execution, circuit breaking",
        "retry; whole request: also slow down, honour `Retry-After`",
        "rate_limited",
    ),
    "disk_full": ("cluster block 12 (disk flood stage), 429 or 403", "outage", "disk_full"),
    "write_blocked": ("cluster block 5 or 8 (index made read-only)", "outage", "write_blocked"),
    "auth": ("401, 403 security", "outage", "auth"),
    "index_unavailable": (
        "index missing (also on a delete), closed, shard limit, alias without a write index",
        "outage",
        "index_unavailable",
    ),
    "unavailable": (
        "503, no master, shards unavailable, of an item or a request",
        "outage; of an item: of its shard only, the others go on",
        "unavailable",
    ),
    "gateway": ("502, 504", "retry, outcome unknown", "gateway"),
    "server_error": ("other 5xx", "retry", "server_error"),
    "payload_too_large": (
        "413, or two connection resets in a row while one batch is being sent",
        "split",
        "payload_too_large",
    ),
    "connect": ("refused, DNS, no route", "outage", "connect"),
    "tls": ("TLS failure", "outage", "tls"),
    "timeout": (
        "timeout, or the worker's own deadline",
        "retry, outcome unknown; repeated, with nothing taken in between: outage",
        "timeout",
    ),
    "connection_lost": (
        "reset or close after sending, cut or bad gzip",
        "retry, outcome unknown",
        "connection_lost",
    ),
    "bad_response": (
        "200 that is not a bulk answer; missing product header, redirect, too large",
        "retry; the last three: outage; nothing is done",
        "bad_response",
    ),
    "discarded": ("discarded by an operator", "done", "discarded"),
    "lease_expired": ("lease ran out and attempts are spent", "fail", "lease_expired"),
    "unknown_exception": ("anything else", "retry", "unknown_exception"),
}
ROWS = BEFORE_SENDING | WHAT_COMES_BACK
