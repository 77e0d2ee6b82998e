"""How a delivery can end: the closed sets of reasons, verdicts and no-ops, and the rules between them.

The worker, the metrics, `status`, the replay filter and the reference page all read this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from outboxctl.domain.printable import brief


class Reason(StrEnum):
    """Every `error_reason`: also a metric label and a replay filter."""

    DETERMINISTIC_EXCEPTION = "deterministic_exception"
    BAD_DOCUMENT = "bad_document"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    SOURCE_NOT_VISIBLE = "source_not_visible"
    MAPPING = "mapping"
    BAD_REQUEST = "bad_request"
    CONFIG = "config"
    RATE_LIMITED = "rate_limited"
    DISK_FULL = "disk_full"
    WRITE_BLOCKED = "write_blocked"
    AUTH = "auth"
    INDEX_UNAVAILABLE = "index_unavailable"
    UNAVAILABLE = "unavailable"
    GATEWAY = "gateway"
    SERVER_ERROR = "server_error"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    BAD_RESPONSE = "bad_response"
    DISCARDED = "discarded"
    LEASE_EXPIRED = "lease_expired"
    UNKNOWN_EXCEPTION = "unknown_exception"


DROPPED = "noop"  # the kind of a 2xx item whose document an ingest pipeline dropped
NO_CREDENTIALS = "no_credentials"  # the kind of a request that could not be signed
UNKNOWN = "unknown"  # the kind of an error that names no type
# Refused before sending, because of the event's own columns: until these change, a replay fails again.
REPLAY_FAILS = frozenset({Reason.DETERMINISTIC_EXCEPTION})
NO_REASON = "none"  # for rows without a reason, which another tool wrote
LONGEST_ERROR = 1_000  # characters of an error
# No answer of the sink itself.
NO_ANSWER = frozenset({Reason.TIMEOUT, Reason.CONNECTION_LOST, Reason.CONNECT, Reason.TLS})
OF_NO_EVENT = frozenset({Reason.RATE_LIMITED, Reason.GATEWAY})  # also where an item has them


# What each outage means, without a text of the sink: for the probes, which need no login.
MEANINGS = {
    Reason.CONFIG: "the sink refuses every request: wrong version, or something else answers",
    Reason.RATE_LIMITED: "the sink asks for fewer requests",
    Reason.DISK_FULL: "the index is blocked as if a disk were full",
    Reason.WRITE_BLOCKED: "the index is read-only",
    Reason.AUTH: "the sink refuses the login",
    Reason.INDEX_UNAVAILABLE: "the index is missing, closed, or cannot be written",
    Reason.UNAVAILABLE: "the sink is starting, or misses shards or a master",
    Reason.GATEWAY: "a proxy before the sink gets no answer",
    Reason.SERVER_ERROR: "the sink reports an error of its own",
    Reason.CONNECT: "no connection to the sink",
    Reason.TLS: "no connection to the sink is trusted by both sides",
    Reason.TIMEOUT: "the sink does not answer in time",
    Reason.CONNECTION_LOST: "the sink closes the connection",
    Reason.BAD_RESPONSE: "what answers is no search engine",
}


class Noop(StrEnum):
    """Deliveries that ended in `done` although this event wrote nothing."""

    SOURCE_MISSING = "source_missing"
    COALESCED = "coalesced"
    DELETE_MISSING = "delete_missing"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"
    UNCHANGED = "unchanged"


class Verdict(StrEnum):
    """What becomes of the row."""

    DONE = "done"
    RETRY = "retry"
    FAIL = "fail"
    OUTAGE = "outage"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Classification:
    """A verdict with its reason (None when done), a no-op's name, and the text for `error`.

    `retry_after`: the sink's Retry-After in seconds, 0 without one. `single`: an outage for this event only,
    because the sink accepts others; `of_shard`: for the events of its shard. `own_text`: nothing of `error`
    comes from the sink. `attempt_returned`: an outage that costs no attempt under either policy.
    `passing`: an outage that ends by itself within seconds, so its events come back soon.
    `refundable`: a retry whose cause may be a node, a proxy or the network: `hold` gives the attempt back.
    `node`: the URL that `error` ends with, else empty. `unsent`: it was decided without the sink.
    """

    verdict: Verdict
    reason: Reason | None = None
    noop: Noop | None = None
    error: str = ""
    retry_after: float = 0.0
    single: bool = False
    own_text: bool = False
    attempt_returned: bool = False
    node: str = ""
    of_shard: bool = False
    refundable: bool = False
    passing: bool = False
    unsent: bool = False

    @property
    def unanswered(self) -> bool:
        """Whether the sink said nothing of the event."""
        return self.reason in NO_ANSWER or (self.refundable and self.reason is not Reason.RATE_LIMITED)

    @property
    def words(self) -> str:
        """The reason, once, and the text: of many failures that begins with it."""
        return f"{self.reason}: {self.error.removeprefix(f'{self.reason}: ')}"

    @property
    def public(self) -> str:
        """The reason and its meaning, without a text of the sink."""
        text = self.error.removeprefix(f"{self.reason}: ") if self.own_text else ""
        text = text.removesuffix(_origin(self.node))
        reason = self.reason or Reason.UNKNOWN_EXCEPTION
        return f"{reason}: {text or MEANINGS.get(reason, 'the log says more')}"


DONE = Classification(Verdict.DONE)


def all_done(findings: Sequence[Classification | None]) -> bool:
    """Whether all are DONE; `count` compares identities first, in C: it is the hot path."""
    return findings.count(DONE) == len(findings)


def waits_for(reason: Reason, why: str) -> Classification:
    """An outage of one index or view that the worker found itself: it costs no attempt."""
    error = brief(f"{reason}: {why}")
    return Classification(
        Verdict.OUTAGE, reason, error=error, single=True, own_text=True, attempt_returned=True
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """The sink's answer to one item (`request=False`) or to a request.

    `status` is 0 where there was none; `kind` is the error's type, or for a request without an answer the
    transport's failure: connect, tls, timeout, reset (closed before the first byte), connection_lost,
    bad_response, encoded or oversized (the answer was not read), unencodable or no_credentials (the request
    could not be sent).
    `retry_after` is in seconds. `own_text`: the text is this program's, and has no part of the answer.
    `node`: the URL that it came from, masked, where the text does not say so. `unsent`: nothing of the
    request has left this program, so that it may be sent to another node.
    """

    status: int
    kind: str = ""
    text: str = ""
    delete: bool = False
    request: bool = False
    retry_after: float = 0.0
    own_text: bool = False
    node: str = ""
    unsent: bool = False


@dataclass(frozen=True)
class FailureRule:
    """One row of the table: an answer that meets every condition gets this verdict.

    `kinds` are error types, `statuses` HTTP statuses, `texts` substrings of which one must occur, `request`
    whether the answer is to a request or an item; an empty condition is always met. `of_shard`: an item's
    outage is that of its shard.
    """

    verdict: Verdict
    reason: Reason | None = None
    noop: Noop | None = None
    kinds: frozenset[str] = frozenset()
    statuses: range | frozenset[int] = frozenset()
    texts: tuple[str, ...] = ()
    request: bool | None = None
    delete: bool | None = None
    no_error: bool = False
    of_shard: bool = False

    def fits(self, answer: Answer) -> bool:
        """Whether every condition of this rule holds for the answer."""
        return (
            (not self.kinds or answer.kind in self.kinds)
            and (not self.statuses or answer.status in self.statuses)
            and (not self.texts or any(text in answer.text for text in self.texts))
            and self.request in (None, answer.request)
            and self.delete in (None, answer.delete)
            and not (self.no_error and answer.kind)
        )


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


def _at(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


ANY_2XX = range(200, 300)
MEDIA_TYPE = _kinds("media_type_header_exception", "content_type_header_exception")
UNTYPED = _kinds("", UNKNOWN)  # not an engine's error: those have an `error.type`
REJECTED = _kinds(
    "es_rejected_execution_exception", "rejected_execution_exception", "circuit_breaking_exception"
)
UNAVAILABLE = _kinds(
    "unavailable_shards_exception",
    "master_not_discovered_exception",
    "cluster_manager_not_discovered_exception",
    "no_master_block_exception",
    "no_shard_available_action_exception",
    "node_closed_exception",
    "node_disconnected_exception",
    "node_not_connected_exception",
    "connect_transport_exception",
    "receive_timeout_transport_exception",
    "process_cluster_event_timeout_exception",
    "shard_not_found_exception",
    "index_shard_closed_exception",
    "illegal_index_shard_state_exception",
    "index_shard_recovering_exception",
    "index_shard_not_started_exception",
    "retry_on_primary_exception",
    "shard_not_in_primary_mode_exception",
    "already_closed_exception",
)
# Of a Serverless collection for time series or vectors.
NO_IDS = "Document ID is not supported"
# Of an item whose new fields no leader wrote into the mapping within the request's `timeout`.
MAPPING_WAIT = "timed out while waiting for a dynamic mapping update"
MAPPING = _kinds(
    "document_parsing_exception",
    "mapper_parsing_exception",
    "mapper_exception",
    "strict_dynamic_mapping_exception",
    "max_bytes_length_exceeded_exception",
)
MAPPING_TEXTS = ("immense term", "Limit of total fields", "Limit of mapping depth", "mapper [", "field [")
# No readable answer: it was cut, or has a content coding that was not requested, as damaged gzip has.
CUT_OFF = _kinds("connection_lost", "reset", "encoded")
# Answers of something else than the sink, to any request.
STRANGE = _kinds("wrong_product", "oversized")

# The first match decides: the error's type before the status, the last rule matches all. Sources: the
# recorded answers of real servers in `tests/sink/answers/`, and the servers' sources.
RULES = (
    FailureRule(Verdict.DONE, noop=Noop.DROPPED, kinds=_kinds(DROPPED), statuses=ANY_2XX, request=False),
    FailureRule(Verdict.DONE, statuses=ANY_2XX, request=False, no_error=True),
    FailureRule(Verdict.RETRY, Reason.BAD_RESPONSE, kinds=_kinds("bad_response"), request=True),
    FailureRule(Verdict.OUTAGE, Reason.BAD_RESPONSE, kinds=STRANGE, request=True),
    FailureRule(Verdict.SPLIT, Reason.BAD_DOCUMENT, kinds=_kinds("unencodable"), request=True),
    FailureRule(Verdict.OUTAGE, Reason.CONNECT, kinds=_kinds("connect"), request=True),
    FailureRule(Verdict.OUTAGE, Reason.TLS, kinds=_kinds("tls"), request=True),
    FailureRule(Verdict.RETRY, Reason.TIMEOUT, kinds=_kinds("timeout"), request=True),
    FailureRule(Verdict.RETRY, Reason.CONNECTION_LOST, kinds=CUT_OFF, request=True),
    FailureRule(
        Verdict.DONE, noop=Noop.DELETE_MISSING, statuses=_at(404), request=False, delete=True, no_error=True
    ),
    FailureRule(
        Verdict.DONE, noop=Noop.SUPERSEDED, kinds=_kinds("version_conflict_engine_exception"), request=False
    ),
    FailureRule(Verdict.OUTAGE, Reason.DISK_FULL, kinds=_kinds("cluster_block_exception"), texts=("/12/",)),
    FailureRule(
        Verdict.OUTAGE, Reason.WRITE_BLOCKED, kinds=_kinds("cluster_block_exception"), texts=("/5/", "/8/")
    ),
    FailureRule(
        Verdict.OUTAGE,
        Reason.INDEX_UNAVAILABLE,
        kinds=_kinds("index_not_found_exception", "index_closed_exception"),
    ),
    FailureRule(
        Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, texts=("no write index is defined", "[require_alias]")
    ),
    FailureRule(
        Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, kinds=_kinds("validation_exception"), texts=("shards",)
    ),
    FailureRule(Verdict.OUTAGE, Reason.UNAVAILABLE, kinds=UNAVAILABLE, request=True),
    FailureRule(Verdict.OUTAGE, Reason.UNAVAILABLE, kinds=UNAVAILABLE, of_shard=True),
    FailureRule(Verdict.OUTAGE, Reason.UNAVAILABLE, texts=(MAPPING_WAIT,), request=False, of_shard=True),
    FailureRule(Verdict.RETRY, Reason.RATE_LIMITED, kinds=REJECTED),
    FailureRule(Verdict.OUTAGE, Reason.AUTH, kinds=_kinds("security_exception", NO_CREDENTIALS)),
    FailureRule(Verdict.OUTAGE, Reason.CONFIG, kinds=MEDIA_TYPE),
    FailureRule(Verdict.OUTAGE, Reason.CONFIG, texts=(NO_IDS,), request=False),
    FailureRule(Verdict.OUTAGE, Reason.CONFIG, kinds=_kinds("look_up_refused"), request=True),
    FailureRule(Verdict.OUTAGE, Reason.CONFIG, texts=("unrecognized parameter",), request=True),
    FailureRule(Verdict.FAIL, Reason.MAPPING, kinds=MAPPING, request=False),
    FailureRule(Verdict.FAIL, Reason.MAPPING, statuses=_at(400), texts=MAPPING_TEXTS, request=False),
    FailureRule(Verdict.OUTAGE, Reason.AUTH, statuses=_at(401, 403)),
    FailureRule(Verdict.SPLIT, Reason.PAYLOAD_TOO_LARGE, statuses=_at(413)),
    FailureRule(Verdict.RETRY, Reason.RATE_LIMITED, statuses=_at(429)),
    FailureRule(Verdict.OUTAGE, Reason.INDEX_UNAVAILABLE, statuses=_at(404), request=True),
    FailureRule(Verdict.OUTAGE, Reason.CONFIG, statuses=_at(405, 406, 415), request=True),
    FailureRule(Verdict.OUTAGE, Reason.BAD_RESPONSE, statuses=range(300, 400), request=True),
    FailureRule(Verdict.SPLIT, Reason.CONFIG, kinds=UNTYPED, statuses=_at(400), request=True),
    FailureRule(Verdict.SPLIT, Reason.BAD_REQUEST, statuses=_at(400), request=True),
    FailureRule(Verdict.FAIL, Reason.BAD_REQUEST, statuses=_at(400)),
    FailureRule(Verdict.OUTAGE, Reason.UNAVAILABLE, statuses=_at(503), request=True),
    FailureRule(Verdict.OUTAGE, Reason.UNAVAILABLE, statuses=_at(503), of_shard=True),
    FailureRule(Verdict.RETRY, Reason.GATEWAY, statuses=_at(502, 504)),
    FailureRule(Verdict.RETRY, Reason.SERVER_ERROR, statuses=range(500, 600)),
    FailureRule(Verdict.RETRY, Reason.BAD_RESPONSE, statuses=ANY_2XX, request=True),
    FailureRule(Verdict.RETRY, Reason.UNKNOWN_EXCEPTION),
)


def classify(answer: Answer) -> Classification:
    """The verdict for an answer: that of the first rule that matches."""
    rule = next(rule for rule in RULES if rule.fits(answer))
    if rule.verdict is Verdict.DONE:
        return Classification(rule.verdict, noop=rule.noop, error=brief(answer.text)) if rule.noop else DONE
    status = str(answer.status) if answer.status else ""
    subject = " ".join(filter(None, (status, answer.kind)))  # all that a 413 of a real engine has
    origin = _origin(answer.node)
    error = brief(": ".join(filter(None, (subject, answer.text))), LONGEST_ERROR - len(origin)) + origin
    return Classification(
        rule.verdict,
        rule.reason,
        error=error,
        retry_after=answer.retry_after,
        own_text=answer.own_text,
        node=answer.node,
        single=rule.of_shard,
        of_shard=rule.of_shard,
        refundable=rule.verdict is Verdict.RETRY and (answer.request or rule.reason in OF_NO_EVENT),
    )


def _origin(node: str) -> str:
    """How an error ends that came from this node; groups of errors leave it out (`fingerprints`)."""
    return f" (from {node})" if node else ""
