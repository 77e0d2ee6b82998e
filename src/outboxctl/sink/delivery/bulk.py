"""The bulk request: actions to bytes, and its answer paired item by item with what was sent."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from json import loads
from json.encoder import encode_basestring
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

from outboxctl.domain.failures import DROPPED, Answer
from outboxctl.domain.redaction import cut
from outboxctl.sink.transport.reply import error_of

CONFIRMED = Answer(200)  # one object for nearly every item, compared by identity
FILTER = "errors,items.*._id,items.*.status,items.*.result,items.*.error"
BEGIN, BETWEEN, END = (
    b'{"errors":false,"items":[{"index":{"_id":',
    b',"result":"created","status":201}},{"index":{"_id":',
    b',"result":"created","status":201}}]}',
)
WRITTEN = frozenset({"created", "updated", "deleted", None})  # None: a proxy that filters results out


class BulkAction(NamedTuple):
    """One document to write (`document` is its JSON text) or, with None, to delete; its routing, or "".

    `alias`: its index, where a column of the document chooses that (`parted.PartedSink`).
    """

    id: str
    version: int
    document: str | None
    routing: str = ""
    alias: str = ""


as_action: Callable[[Sequence[Any]], BulkAction] = partial(tuple.__new__, BulkAction)
# Tests whether the sink accepts bulk requests, by the same path and media type, without an event. It deletes
# nothing: a document of this id and of version 0 does not exist.
PROBE = BulkAction("outboxctl:probe", 0, None)


class RawActions(Sequence[BulkAction]):
    """Documents to write, as bytes: ids as JSON, versions in digits, routings as JSON or empty, documents.

    All are in UTF-8. Each is made a BulkAction only where it is looked at by itself.
    """

    def __init__(self, documents: Sequence[Sequence[bytes]]) -> None:
        self._documents = documents
        self.ids = [each[0] for each in documents]  # as JSON

    def __len__(self) -> int:
        return len(self._documents)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [_action(*each) for each in self._documents[place]]
        return _action(*self._documents[place])

    def __iter__(self) -> Iterator[BulkAction]:
        return (_action(*each) for each in self._documents)

    def body(self) -> bytes | None:
        """The NDJSON of a bulk request; None where a document has a line end."""
        lines = b"".join([_raw_lines(*each) for each in self._documents])
        return lines if lines.count(b"\n") == 2 * len(self) else None


def body(actions: Sequence[BulkAction], *, routed: bool = False) -> bytes:
    """The NDJSON of a bulk request, `routed` with their routings; by `external_gte` no older version wins."""
    if isinstance(actions, RawActions) and (lines := actions.body()) is not None:
        return lines
    return "".join(map(_routed_lines if routed else _lines, actions)).encode()


def _lines(action: BulkAction) -> str:
    id_, version, document, _, _ = action
    about = f'"_id":{quoted(id_)},"version":{version},"version_type":"external_gte"'
    if document is None:
        return f'{{"delete":{{{about}}}}}\n'
    if "\n" in document:  # whitespace of a `json` column may hold line ends, which would end the line here
        document = document.replace("\n", " ")
    return f'{{"index":{{{about}}}}}\n{document}\n'


def _routed_lines(action: BulkAction) -> str:
    lines = _lines(action)
    if not action.routing:
        return lines
    at = lines.index("{", 1) + 1  # behind `{"index":{`
    return f'{lines[:at]}"routing":{quoted(action.routing)},{lines[at:]}'


def pair(actions: Sequence[BulkAction], answer: Any) -> list[Answer] | Answer:
    """One Answer an action, in order; or one for the whole request if the body is not its answer.

    Counts, verbs and ids are compared: the client's helpers pair by position and lose events when
    an item is missing.
    """
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or len(items) != len(actions):
        return _bad(f"{len(items) if isinstance(items, list) else 'no'} items for {len(actions)} actions")
    try:
        return [_item(action, item) for action, item in zip(actions, items, strict=True)]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        return _bad(f"item of another shape, verb or id: {error}")


def _item(action: BulkAction, item: dict[str, Any]) -> Answer:
    deleting = action.document is None
    outcome = item["delete" if deleting else "index"]
    status = outcome["status"]
    if outcome["_id"] != action.id or type(status) is not int:
        raise ValueError(f"status {status!r} of {outcome['_id']!r}, expected {action.id!r}")
    error = outcome.get("error")
    if not 200 <= status < 300:  # noqa: PLR2004 - any 2xx
        return Answer(status, *error_of(error), deleting)
    if error is None and outcome.get("result") in WRITTEN:
        return CONFIRMED
    return _odd(outcome)


def _odd(outcome: dict[str, Any]) -> Answer:
    """The Answer for a success that wrote nothing; ValueError for one that contradicts itself."""
    if outcome.get("error") is not None:
        raise ValueError(f"{outcome['_id']!r} has status {outcome['status']} and an error")
    if outcome["result"] != DROPPED:
        raise ValueError(cut(f"the result of {outcome['_id']!r} is {outcome['result']!r}", 500))
    return Answer(outcome["status"], DROPPED)


def _bad(text: str) -> Answer:
    return Answer(200, "bad_response", text, request=True)


def all_created(actions: Sequence[BulkAction]) -> bytes:
    """The answer to a bulk request (with FILTER) that says of each action, in order, that it is written.

    An answer of these bytes says of each item what `pair` compares, and nothing else; so it needs no
    parsing. An engine that writes the same in another way only costs the parsing.
    """
    if isinstance(actions, RawActions):
        return BEGIN + BETWEEN.join(actions.ids) + END
    ids = (encode_basestring(action.id).encode("utf-8", "surrogatepass") for action in actions)
    return BEGIN + BETWEEN.join(ids) + END


def _raw_lines(id_: bytes, version: bytes, routing: bytes, document: bytes) -> bytes:
    if routing:
        id_ = b'%b,"routing":%b' % (id_, routing)
    return b'{"index":{"_id":%b,"version":%b,"version_type":"external_gte"}}\n%b\n' % (id_, version, document)


def _action(id_: bytes, version: bytes, routing: bytes, document: bytes) -> BulkAction:
    name, text, place = (part.decode() for part in (id_, document, routing))
    return BulkAction(loads(name), int(version), text, loads(place) if place else "")
