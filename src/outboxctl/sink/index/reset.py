"""Having an index forget a version that leaves no room for others, by writes that fence each other."""

from collections.abc import Iterable, Sequence
from json import dumps
from typing import Any, NamedTuple

from outboxctl.domain.failures import Answer
from outboxctl.sink.delivery.bulk import FILTER
from outboxctl.sink.index.repair import DocumentVersion, Mender, fence
from outboxctl.sink.transport.reply import error_of
from outboxctl.sink.transport.request import failure

MOST = 2**63 - 1  # the highest version that an engine takes
PLACE = f"{FILTER},items.*._version,items.*._seq_no,items.*._primary_term"
Stuck = tuple[str, DocumentVersion | None]
Request = dict[str, dict[str, Any]]  # one action of a bulk request: its verb and its head


class ResetResult(NamedTuple):
    """What a write of ours left: its version, and what names this very write."""

    id: str
    created: bool
    version: int
    seq_no: int
    primary_term: int


def reset(mender: Mender, stuck: Sequence[Stuck], *, above: int) -> dict[str, int]:
    """Have the index forget versions higher than `above`; returns by id the version that it holds then.

    Each is a document as it was seen, which is deleted, or (None) a tombstone. No document is left of
    either. What somebody has written since stays, and is not in the result, nor is what could not be reset.
    Raises UnreachableError where the sink refuses for another reason; run again, it goes on from there.

    Nothing is greater than 2^63-1. But a write that names no version counts one further, and that runs
    over to -2^63, which every version beats: `VersionType.INTERNAL.updateVersion` in the sources of
    Elasticsearch and OpenSearch, tried on Elasticsearch 9. It is documented nowhere, so what the answer
    says counts. A tombstone has no `seq_no`: its fence is a create, refused where there is a document.
    """
    first = _write(mender, _taken(stuck))
    high = {each.id for each in first if each.version > above}
    # Up to the top. As high as they are, no worker's write comes in between.
    top = {"version": MOST, "version_type": "external_gte"}
    _write(mender, [{"delete": {"_id": id_, **top}} for id_ in high])
    results = [each for each in first if each.id not in high]
    results += _write(mender, _taken((id_, None) for id_ in high))
    created = [DocumentVersion(w.id, w.seq_no, w.primary_term) for w in results if w.created]
    left = [each for each in results if not each.created]
    left += _write(mender, [{"delete": fence(document)} for document in created])
    return {each.id: max(each.version, 0) for each in left if each.version <= above}


def _taken(stuck: Iterable[Stuck]) -> list[Request]:
    """The first write to each: it is ours, or refused."""
    return [{"delete": fence(document)} if document else {"create": {"_id": id_}} for id_, document in stuck]


def _write(mender: Mender, actions: Sequence[Request]) -> list[ResetResult]:
    """Send these deletes, and creates of an empty document; what they left, but where a fence refused."""
    if not actions:
        return []
    body = {"create": "{}\n", "delete": ""}
    lines = "".join(f"{dumps(action)}\n{body[next(iter(action))]}" for action in actions)
    match mender.bulk(lines, filter_path=PLACE):
        case {"items": [*items]} if len(items) == len(actions):
            written = [_written(mender, *pair) for pair in zip(actions, items, strict=True)]
            return [each for each in written if each]
        case answer:
            raise failure(mender.client, _odd(answer))


def _written(mender: Mender, action: Request, item: Any) -> ResetResult | None:
    ((verb, head),) = action.items()
    result = item.get(verb) if isinstance(item, dict) else None
    match result:
        case {"_id": id_} if id_ != head["_id"]:
            pass
        case {"status": 409}:  # the fence
            return None
        case {"status": int(status), "error": error}:
            raise failure(mender.client, Answer(status, *error_of(error)))
        case {"_version": int(version), "_seq_no": int(seq_no), "_primary_term": int(term)}:
            return ResetResult(head["_id"], verb == "create", version, seq_no, term)
    raise failure(mender.client, _odd(item))


def _odd(answer: Any) -> Answer:
    return Answer(200, "bad_response", f"no answer of a bulk request: {answer}"[:500], request=True)
