"""How a delivery can end: the closed sets of reasons, verdicts and no-ops, and the rules between them.

The worker, the metrics, `status`, the replay filter and the reference page all read this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

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


class Noop(StrEnum):
    """Deliveries that ended in `done` although this event wrote nothing."""

    SOURCE_MISSING = "source_missing"
    COALESCED = "coalesced"
    DELETE_MISSING = "delete_missing"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"
    UNCHANGED = "unchanged"


class OutageScope(StrEnum):
    """Which events an outage delays."""

    SINK = "sink"
    INDEX = "index"  # those of one index or view: the sink may accept others
    EVENT = "event"  # this one: it was refused by itself, or its shard accepts no writes


class Verdict(StrEnum):
    """What becomes of the row."""

    DONE = "done"
    RETRY = "retry"
    FAIL = "fail"
    OUTAGE = "outage"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Classification:
    """A verdict with its reason (None when done), a no-op's name, and the text for `error`."""

    verdict: Verdict
    reason: Reason | None = None
    noop: Noop | None = None
    error: str = ""
    retry_after: float = 0.0  # the sink's Retry-After in seconds, 0 without one
    scope: OutageScope = OutageScope.SINK  # of an outage
    own_text: bool = False  # nothing of `error` comes from the sink
    attempt_returned: bool = False  # an outage that costs no attempt under either policy
    node: str = ""  # the URL that `error` ends with, else empty
    refundable: bool = False  # a retry that a node, a proxy or the network may cause: `hold` costs no attempt
    passing: bool = False  # an outage that ends by itself within seconds, so its events come back soon
    unsent: bool = False  # it was decided without the sink

    @property
    def unanswered(self) -> bool:
        """Whether the sink said nothing of the event."""
        return self.reason in NO_ANSWER or (self.refundable and self.reason is not Reason.RATE_LIMITED)

    @property
    def words(self) -> str:
        """The reason, once, and the text: of many failures that begins with it."""
        return f"{self.reason}: {self.error.removeprefix(f'{self.reason}: ')}"


DONE = Classification(Verdict.DONE)


def all_done(findings: Sequence[Classification | None]) -> bool:
    """Whether all are DONE; `count` compares identities first, in C: it is the hot path."""
    return findings.count(DONE) == len(findings)


def waits_for(reason: Reason, why: str) -> Classification:
    """An outage of one index or view that the worker found itself: it costs no attempt."""
    error = brief(f"{reason}: {why}")
    return Classification(
        Verdict.OUTAGE, reason, error=error, scope=OutageScope.INDEX, own_text=True, attempt_returned=True
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """The sink's answer to one item or to a request.

    `kind` is the error's type, or for a request without an answer the transport's failure: connect, tls,
    timeout, reset (closed before the first byte), connection_lost, bad_response, encoded or oversized (the
    answer was not read), or no_credentials (the request could not be sent).
    """

    status: int  # 0: there was none
    kind: str = ""
    text: str = ""
    delete: bool = False
    request: bool = False  # to a whole request
    retry_after: float = 0.0  # seconds
    own_text: bool = False  # the text is this program's, and has no part of the answer
    node: str = ""  # the URL that it came from, masked, where the text does not say so
    unsent: bool = False  # nothing of the request has left this program: another node may be sent it


@dataclass(frozen=True)
class FailureRule:
    """One row of the table: an answer that meets every condition gets this verdict; an empty one is met."""

    verdict: Verdict
    reason: Reason | None = None
    noop: Noop | None = None
    kinds: tuple[str, ...] = ()  # error types
    statuses: range | tuple[int, ...] = ()
    texts: tuple[str, ...] = ()  # of which one must occur
    request: bool | None = None  # whether it is to a request or an item
    delete: bool | None = None
    no_error: bool = False
    scope: OutageScope = OutageScope.SINK

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


ANY_2XX = range(200, 300)
MEDIA_TYPE = ("media_type_header_exception", "content_type_header_exception")
BLOCKED = ("cluster_block_exception",)
NO_INDEX = ("index_not_found_exception", "index_closed_exception")
UNTYPED = ("", UNKNOWN)  # not an engine's error: those have an `error.type`
REJECTED = ("es_rejected_execution_exception", "rejected_execution_exception", "circuit_breaking_exception")
UNAVAILABLE = (
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
# The error of an item whose new fields no leader wrote into the mapping within the request's `timeout`.
MAPPING_WAIT = "timed out while waiting for a dynamic mapping update"
MAPPING = (
    "document_parsing_exception",
    "mapper_parsing_exception",
    "mapper_exception",
    "strict_dynamic_mapping_exception",
    "max_bytes_length_exceeded_exception",
)
MAPPING_TEXTS = ("immense term", "Limit of total fields", "Limit of mapping depth", "mapper [", "field [")
# No readable answer: it was cut, or has a content coding that was not requested, as damaged gzip has.
CUT_OFF = ("connection_lost", "reset", "encoded")
# Answers of something else than the sink, to any request.
STRANGE = ("wrong_product", "oversized")

# The first match decides: the error's type before the status, the last rule matches all. Sources: the
# recorded answers of real servers in `tests/sink/answers/`, and the servers' sources.
_done = partial(FailureRule, Verdict.DONE)
_retry = partial(FailureRule, Verdict.RETRY)
_fail = partial(FailureRule, Verdict.FAIL)
_outage = partial(FailureRule, Verdict.OUTAGE)
_split = partial(FailureRule, Verdict.SPLIT)
RULES = (
    _done(noop=Noop.DROPPED, kinds=(DROPPED,), statuses=ANY_2XX, request=False),
    _done(statuses=ANY_2XX, request=False, no_error=True),
    _retry(Reason.BAD_RESPONSE, kinds=("bad_response",), request=True),
    _outage(Reason.BAD_RESPONSE, kinds=STRANGE, request=True),
    _outage(Reason.CONNECT, kinds=("connect",), request=True),
    _outage(Reason.TLS, kinds=("tls",), request=True),
    _retry(Reason.TIMEOUT, kinds=("timeout",), request=True),
    _retry(Reason.CONNECTION_LOST, kinds=CUT_OFF, request=True),
    _done(noop=Noop.DELETE_MISSING, statuses=(404,), request=False, delete=True, no_error=True),
    _done(noop=Noop.SUPERSEDED, kinds=("version_conflict_engine_exception",), request=False),
    _outage(Reason.DISK_FULL, kinds=BLOCKED, texts=("/12/",)),
    _outage(Reason.WRITE_BLOCKED, kinds=BLOCKED, texts=("/5/", "/8/")),
    _outage(Reason.INDEX_UNAVAILABLE, kinds=BLOCKED, texts=("/4/",)),  # it is being closed
    _outage(Reason.INDEX_UNAVAILABLE, kinds=NO_INDEX),
    _outage(Reason.INDEX_UNAVAILABLE, texts=("no write index is defined", "[require_alias]")),
    _outage(Reason.INDEX_UNAVAILABLE, kinds=("validation_exception",), texts=("shards",)),
    _outage(Reason.UNAVAILABLE, kinds=UNAVAILABLE, request=True),
    _outage(Reason.UNAVAILABLE, kinds=UNAVAILABLE, scope=OutageScope.EVENT),
    _outage(Reason.UNAVAILABLE, texts=(MAPPING_WAIT,), request=False, scope=OutageScope.EVENT),
    _retry(Reason.RATE_LIMITED, kinds=REJECTED),
    _outage(Reason.AUTH, kinds=("security_exception", NO_CREDENTIALS)),
    _outage(Reason.CONFIG, kinds=MEDIA_TYPE),
    _outage(Reason.CONFIG, texts=(NO_IDS,), request=False),
    _outage(Reason.CONFIG, kinds=("look_up_refused",), request=True),
    _outage(Reason.CONFIG, texts=("unrecognized parameter",), request=True),
    _fail(Reason.MAPPING, kinds=MAPPING, request=False),
    _fail(Reason.MAPPING, statuses=(400,), texts=MAPPING_TEXTS, request=False),
    _outage(Reason.AUTH, statuses=(401, 403)),
    _split(Reason.PAYLOAD_TOO_LARGE, statuses=(413,)),
    _retry(Reason.RATE_LIMITED, statuses=(429,)),
    _outage(Reason.INDEX_UNAVAILABLE, statuses=(404,), request=True),
    _outage(Reason.CONFIG, statuses=(405, 406, 415), request=True),
    _outage(Reason.BAD_RESPONSE, statuses=range(300, 400), request=True),
    _split(Reason.CONFIG, kinds=UNTYPED, statuses=(400,), request=True),
    _split(Reason.BAD_REQUEST, statuses=(400,), request=True),
    _fail(Reason.BAD_REQUEST, statuses=(400,)),
    _outage(Reason.UNAVAILABLE, statuses=(503,), request=True),
    _outage(Reason.UNAVAILABLE, statuses=(503,), scope=OutageScope.EVENT),
    _retry(Reason.GATEWAY, statuses=(502, 504)),
    _retry(Reason.SERVER_ERROR, statuses=range(500, 600)),
    _retry(Reason.BAD_RESPONSE, statuses=ANY_2XX, request=True),
    _retry(Reason.UNKNOWN_EXCEPTION),
)


def classify(answer: Answer) -> Classification:
    """The verdict for an answer: that of the first rule that matches."""
    rule = next(rule for rule in RULES if rule.fits(answer))
    if rule.verdict is Verdict.DONE:
        return Classification(rule.verdict, noop=rule.noop, error=brief(answer.text)) if rule.noop else DONE
    status = str(answer.status) if answer.status else ""
    subject = " ".join(filter(None, (status, answer.kind)))  # all that a 413 of a real engine has
    origin = origin_of(answer.node)
    error = brief(": ".join(filter(None, (subject, answer.text))), LONGEST_ERROR - len(origin)) + origin
    return Classification(
        rule.verdict,
        rule.reason,
        error=error,
        retry_after=answer.retry_after,
        own_text=answer.own_text,
        node=answer.node,
        scope=rule.scope,
        refundable=rule.verdict is Verdict.RETRY and (answer.request or rule.reason in OF_NO_EVENT),
    )


def origin_of(node: str) -> str:
    """How an error ends that came from this node; groups of errors leave it out (`fingerprints`)."""
    return f" (from {node})" if node else ""
