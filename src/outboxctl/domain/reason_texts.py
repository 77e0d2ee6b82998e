"""What each failure reason and no-op means, and what an operator does first: for `explain` and the docs."""

from typing import NamedTuple

from outboxctl.domain.failures import Classification, Noop, Reason, origin_of


class ReasonText(NamedTuple):
    """What happened, and what to do first; commands are between backquotes."""

    meaning: str
    first: str


HEALS = "The events are tried again by themselves; nothing is lost by waiting."
REASON_TEXTS = {
    Reason.DETERMINISTIC_EXCEPTION: ReasonText(
        "The event's own columns cannot be delivered: its op is unknown, its event_version is missing or not "
        "in 0..2^63-1, or its id is longer than 512 bytes. Nothing was sent.",
        "Correct the program that writes such events. A replay fails again: close them by "
        "`outboxctl failed discard --error-reason deterministic_exception --by YOU --reason WHY`.",
    ),
    Reason.BAD_DOCUMENT: ReasonText(
        "PostgreSQL raises an error for the row, or its values make no document. Only this event failed.",
        "Compare row and document by `outboxctl failed show ID`, correct the row, then replay.",
    ),
    Reason.PAYLOAD_TOO_LARGE: ReasonText(
        "The document by itself is larger than a request that the sink takes.",
        "Make the document smaller, or raise http.max_content_length of the sink (and the limit of a proxy "
        "before it), then replay.",
    ),
    Reason.SOURCE_NOT_VISIBLE: ReasonText(
        "The source row is older than the event says: the event was written by another transaction than its "
        "row, or with a version that no row has.",
        "It is tried again. If it fails, read docs/producing.md: row and event belong in one transaction.",
    ),
    Reason.MAPPING: ReasonText(
        "The index does not take the document: a field has another type than the mapping says, is not in a "
        "strict mapping, or there are too many fields.",
        "Read the field in the engine's words, which `outboxctl failed show ID` shows whole. Correct the "
        "rows, or make an index with another mapping by `outboxctl rebuild --mapping FILE`, then replay. A "
        "replay sends the row as it is then. "
        "Of search_index: `UPDATE search_index SET …, event_version = event_version + 1, updated_at = now() "
        "WHERE entity_id = '…'`. Of a projection: correct your own table, or the view, or the mapping in its "
        "file (`outboxctl projection apply FILE`, then `outboxctl rebuild --projection NAME` if it says so).",
    ),
    Reason.BAD_REQUEST: ReasonText(
        "The sink refuses this event's line of the bulk request with status 400.",
        "Read its words in `outboxctl failed list`, correct the row, then replay.",
    ),
    Reason.CONFIG: ReasonText(
        "The sink refuses every request, whatever is in it: a version that is not supported, or something "
        "else than a search engine answers at ELASTIC_URL. Or the view of a projection cannot be read: a "
        "column was renamed, or the worker lacks a right.",
        "`outboxctl doctor`; `outboxctl projection plan FILE` says how a view differs from its file.",
    ),
    Reason.RATE_LIMITED: ReasonText(
        "The sink has no room for more requests (429). The worker halves what it has in flight and goes on.",
        f"{HEALS} If it lasts, the sink is the limit: give it more nodes or less other work.",
    ),
    Reason.DISK_FULL: ReasonText(
        "The index has the block that the engine sets where a disk is above its flood stage "
        "(index.blocks.read_only_allow_delete); a person may have set it, too.",
        "Make space: the engine then lifts the block by itself. If there is space, the disk limits forbid "
        'using it: cluster.routing.allocation.disk.watermark.* in `curl "$ELASTIC_URL/_cluster/settings"`. '
        "An engine that does not watch its disks needs the request that `outboxctl doctor --only sink` "
        f"prints. {HEALS}",
    ),
    Reason.WRITE_BLOCKED: ReasonText(
        "Somebody has made the index read-only (index.blocks), or a rebuild moves its alias: then the event "
        "waits for that, and the error says so.",
        "Of a rebuild that runs: nothing. Of an interrupted one: `outboxctl rebuild` goes on, `outboxctl "
        "index abort` ends it. Otherwise `outboxctl doctor --only sink` prints the request that lifts the "
        "block.",
    ),
    Reason.AUTH: ReasonText(
        "The sink refuses the user or key, or does not allow it to write this index.",
        "`outboxctl doctor --only sink` says what is missing; `outboxctl roles` prints the rights. Where AWS "
        "refuses a signed request the error says what to check (docs/deploy/aws.md).",
    ),
    Reason.INDEX_UNAVAILABLE: ReasonText(
        "The index is missing or closed, the alias has no index that takes writes, or the cluster has no "
        "room for another shard. The worker never creates an index.",
        "`outboxctl doctor --only sink`; `outboxctl rebuild` makes a missing index and fills it.",
    ),
    Reason.UNAVAILABLE: ReasonText(
        "The sink is starting, has no leader, or a shard has no active copy. Events of other shards go on.",
        f"`outboxctl doctor --only sink` names the leader or the shard. {HEALS}",
    ),
    Reason.GATEWAY: ReasonText(
        "A proxy before the sink had no answer from it (502 or 504). Whether the documents were written is "
        "not known, and does not matter: versions make a second write harmless.",
        f"Look at the proxy and at its time limits. {HEALS}",
    ),
    Reason.SERVER_ERROR: ReasonText(
        "The sink reports an error of its own (status 500 or higher).",
        f"Read the sink's log at the time of the error. {HEALS}",
    ),
    Reason.CONNECT: ReasonText(
        "No connection to the sink: refused, no route, or its name is not known.",
        f"`outboxctl doctor --only sink` says which node and why. {HEALS}",
    ),
    Reason.TLS: ReasonText(
        "A connection was opened, but one side does not trust the other's certificate.",
        "`outboxctl doctor --only sink` says which certificate; see ELASTIC_CA_CERTS.",
    ),
    Reason.TIMEOUT: ReasonText(
        "The sink did not answer in time. Whether the documents were written is not known, and does not "
        "matter: versions make a second write harmless.",
        f"Look at the sink's load and at the node that the error names. {HEALS}",
    ),
    Reason.CONNECTION_LOST: ReasonText(
        "The connection was closed or cut before the answer was complete. Whether the documents were written "
        "is not known, and does not matter: versions make a second write harmless.",
        f"If it lasts, look for a proxy or firewall that cuts connections or large requests. {HEALS}",
    ),
    Reason.BAD_RESPONSE: ReasonText(
        "What came back is no answer to a bulk request: HTML, an empty body, other ids than were sent, a "
        "redirect, or another product. Nothing counts as delivered.",
        "`outboxctl doctor --only sink`; ask ELASTIC_URL by curl and see who answers.",
    ),
    Reason.DISCARDED: ReasonText(
        "An operator closed the event without a delivery.",
        "`outboxctl audit --action discard` says who and why.",
    ),
    Reason.LEASE_EXPIRED: ReasonText(
        "Each time that the event was claimed, its lease ran out before it was settled, until its attempts "
        "were spent: it ends or outlives its worker.",
        "Read the workers' logs for how they ended (memory, a kill), and the row's size by "
        "`outboxctl failed show ID`. Then replay it alone.",
    ),
    Reason.UNKNOWN_EXCEPTION: ReasonText(
        "An error that no rule of outboxctl knows. It is tried again until the attempts are spent.",
        "Read its words in `outboxctl failed list`, and report the answer: it deserves a rule.",
    ),
}
NOOP_TEXTS = {
    Noop.SOURCE_MISSING: "The row of an upsert is gone, so a delete was sent: another event says the same.",
    Noop.COALESCED: "A newer event of the same entity was in the batch, and its delivery stands for both.",
    Noop.DELETE_MISSING: "The document that was to be deleted was not there.",
    Noop.SUPERSEDED: "The sink already holds a newer version of the document.",
    Noop.DROPPED: "The sink's ingest pipeline dropped the document.",
    Noop.UNCHANGED: "The index holds the document as it is (`skip_unchanged`): it was not sent.",
}


def public_words(finding: Classification) -> str:
    """The reason and its meaning, without a text of the sink: for the probes, which need no login."""
    reason = finding.reason or Reason.UNKNOWN_EXCEPTION
    own = finding.error.removeprefix(f"{reason}: ").removesuffix(origin_of(finding.node))
    return f"{reason}: {own if finding.own_text else REASON_TEXTS[reason].meaning}"
