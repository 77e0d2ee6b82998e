"""Documents as an index returns them, by a search or by id: their bodies stay the bytes that were written."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import fields, replace

from outboxctl.domain import json_numbers
from outboxctl.domain.errors import UsageError
from outboxctl.domain.failures import Answer
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.reply import NESTED, error_of
from outboxctl.sink.transport.request import ask, failure

Page = TypeVar("Page", "SearchPage", "DocumentsById")
Document = TypeVar("Document", "_Hit", "_Item")
COPIES = 100  # of one id, that an index has by mistake, in several shards
NAMES = {
    "id": "_id",
    "version": "_version",
    "source": "_source",
    "seq_no": "_seq_no",
    "primary_term": "_primary_term",
    "routing": "_routing",
}


class ScannedDocument(Struct, frozen=True, gc=False, rename=NAMES):
    """A document as the index holds it; `source` is its body as JSON, empty if not asked for or not kept.

    `routing` is "" where it has none, or was not asked for; `copies`: how often its id is in the index.
    """

    id: str
    version: int = 0
    source: Raw = Raw()
    seq_no: int | None = None
    primary_term: int | None = None
    routing: str = ""
    copies: int = 1

    @property
    def body(self) -> bytes:
        """The bytes of `source`."""
        return bytes(self.source)

    def met(self, copies: int) -> "ScannedDocument":
        """The same, met so often."""
        return replace(self, copies=copies)


class _Hit(ScannedDocument, frozen=True, gc=False):
    sort: Raw = Raw()


class _Item(ScannedDocument, frozen=True, gc=False):
    found: bool = False
    error: Any = None


class _Hits(Struct):
    hits: list[_Hit]


class SearchPage(Struct):
    """A page of a search."""

    hits: _Hits
    pit_id: str = ""

    @property
    def documents(self) -> list[_Hit]:
        """Its documents."""
        return self.hits.hits

    @property
    def last(self) -> Any:
        """The place of the last document, for `search_after`."""
        return json.loads(bytes(self.hits.hits[-1].sort))


class DocumentsById(Struct):
    """The answer to a request for documents by id."""

    docs: list[_Item]


_PAGE, _FOUND = Decoder(SearchPage), Decoder(DocumentsById)


def search_page(body: bytes) -> SearchPage:
    """A search's answer; half of a surrogate pair and NaN are read by Python. ValueError, RecursionError."""
    try:
        return _PAGE.decode(body)
    except DecodeError:
        return _by_python(
            body,
            lambda answer: SearchPage(_Hits(_all(_Hit, answer["hits"]["hits"])), answer.get("pit_id", "")),
        )


def documents_by_id(body: bytes) -> DocumentsById:
    """An answer for several ids; as `search_page`."""
    try:
        return _FOUND.decode(body)
    except DecodeError:
        return _by_python(body, lambda answer: DocumentsById(_all(_Item, answer["docs"])))


def _by_python(body: bytes, read: Callable[[Any], Page]) -> Page:
    """Raises ValueError for an answer of another shape, too."""
    try:
        return read(json_numbers.loads(body))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"an answer of another shape ({type(error).__name__})") from None


def _all(kind: type[Document], documents: list[dict[str, Any]]) -> list[Document]:
    """Documents from parsed ones, whose bodies and places are written again."""
    return [kind(**dict(_values(kind, one))) for one in documents]


def _values(kind: type[Struct], one: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in fields(kind):
        if field.encode_name in one:
            value = one[field.encode_name]
            yield field.name, Raw(json_numbers.dumps(value).encode()) if field.type is Raw else value


def search(client: Client, name: str, body: Mapping[str, Any], *index: str) -> SearchPage:
    """A page of `index`, or of the view in `body`; `name` is for errors. As `request`; UsageError."""
    page: SearchPage = _read(
        client, name, *index, "_search", decode=search_page, body=body, allow_partial_search_results=False
    )
    return page


def by_id(client: Client, index: str, ids: Sequence[str], *, content: bool) -> list[ScannedDocument | None]:
    """The documents of these ids as they are this moment, unrefreshed writes included. Raises as `search`.

    A request for many succeeds where the index is gone, a shard is missing or a node too busy: its items say
    so (tried on 9.0.4), and a document that could not be read is not one that is missing.
    """
    if not ids:
        return []
    wanted = {"ids": list(ids)}
    docs = _read(client, index, index, "_mget", decode=documents_by_id, body=wanted, _source=content).docs
    unread = next((doc.error for doc in docs if doc.error), None)
    if unread:
        raise failure(Answer(0, *error_of(unread), request=True))
    return [doc if doc.found else None for doc in docs]


def versions(client: Client, index: str, ids: Sequence[str]) -> dict[str, int | None]:
    """The version of each document by id, None where there is none. Raises as `search`."""
    found = by_id(client, index, ids, content=False)
    return {id_: one.version if one else None for id_, one in zip(ids, found, strict=True)}


def copies(client: Client, name: str, id_: str) -> Sequence[ScannedDocument]:
    """A document, once for each shard or index that has it, as at the last refresh. Raises as `search`."""
    query = {"query": {"ids": {"values": [id_]}}, "size": COPIES, "version": True}
    return search(client, name, query, name).documents


def _read(client: Client, name: str, *path: str, **request: Any) -> Any:
    answer = ask(client, "POST", *path, **request)
    if not isinstance(answer, Answer):
        return answer
    raise too_deep(f"a document in {name}") if answer.text == NESTED else failure(answer)


def too_deep(what: str) -> UsageError:
    """The error for JSON that is nested deeper than Python goes: nearly a thousand levels."""
    return UsageError(
        f"{what} is nested too deeply to be compared by content",
        hint="compare versions alone: --versions-only",
    )
