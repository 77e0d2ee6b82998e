"""Documents that stay bytes on their way into a new index, and the answer that says that all are there."""

from collections.abc import Iterable, Iterator, Sequence
from json import loads
from json.encoder import encode_basestring
from typing import Any

from outboxctl.sink.delivery.bulk import BulkAction

BEGIN, BETWEEN, END = (
    b'{"errors":false,"items":[{"index":{"_id":',
    b',"result":"created","status":201}},{"index":{"_id":',
    b',"result":"created","status":201}}]}',
)


class RawActions(Sequence[BulkAction]):
    """Documents to write, as bytes: ids as JSON, versions in digits, routings as JSON or empty, documents.

    These have one line, in UTF-8. Each is made a BulkAction only where it is looked at by itself. Any may be
    invalid UTF-8: what is sent then is made from BulkActions, which names that document.
    """

    def __init__(self, documents: Sequence[Sequence[bytes]]) -> None:
        self._documents = documents

    def __len__(self) -> int:
        return len(self._documents)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [_action(*each) for each in self._documents[place]]
        return _action(*self._documents[place])

    def __iter__(self) -> Iterator[BulkAction]:
        return (_action(*each) for each in self._documents)

    def body(self) -> bytes | None:
        """The NDJSON of a bulk request; None where a line end or invalid UTF-8 makes it none."""
        lines = b"".join([_lines(*each) for each in self._documents])
        if lines.count(b"\n") != 2 * len(self):
            return None
        try:
            return lines if lines.isascii() or lines.decode() else None
        except UnicodeDecodeError:
            return None

    def ids(self) -> Iterable[bytes]:
        """The ids as JSON."""
        return [each[0] for each in self._documents]


def all_created(actions: Sequence[BulkAction]) -> bytes:
    """The answer to a bulk request (with bulk.FILTER) that says of each action, in order, that it is written.

    An answer of these bytes says of each item what bulk.pair compares, and nothing else; so it needs no
    parsing. An engine that writes the same in another way only costs the parsing.
    """
    if isinstance(actions, RawActions):
        return BEGIN + BETWEEN.join(actions.ids()) + END
    ids = (encode_basestring(action.id).encode("utf-8", "surrogatepass") for action in actions)
    return BEGIN + BETWEEN.join(ids) + END


def _lines(id_: bytes, version: bytes, routing: bytes, document: bytes) -> bytes:
    if routing:
        id_ = b'%b,"routing":%b' % (id_, routing)
    return b'{"index":{"_id":%b,"version":%b,"version_type":"external_gte"}}\n%b\n' % (id_, version, document)


def _action(id_: bytes, version: bytes, routing: bytes, document: bytes) -> BulkAction:
    name, text, place = (part.decode("utf-8", "surrogateescape") for part in (id_, document, routing))
    return BulkAction(loads(name), int(version), text, loads(place) if place else "")
