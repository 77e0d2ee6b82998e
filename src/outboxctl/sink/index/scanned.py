"""Documents as an index returns them: their bodies stay the bytes that were written."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import fields, replace

from outboxctl.domain import json_numbers
from outboxctl.domain.errors import UsageError

Answer = TypeVar("Answer", "SearchPage", "DocumentsById")
Document = TypeVar("Document", "_Hit", "_Item")
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


def _by_python(body: bytes, read: Callable[[Any], Answer]) -> Answer:
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


def too_deep(what: str) -> UsageError:
    """The error for JSON that is nested deeper than Python goes: nearly a thousand levels."""
    return UsageError(
        f"{what} is nested too deeply to be compared by content",
        hint="compare versions alone: --versions-only",
    )
