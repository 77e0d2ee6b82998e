"""A projection as it is in force: which rows become documents of which index, and the text of a key.

Pure. The declaration (a TOML file) is read by `operations/projection`; this is what the database keeps of it
once it is applied, so that all workers and commands agree.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from outboxctl.domain.index_names import NUMBERED, broken_rule
from outboxctl.domain.lifecycle import PROJECTION

MAX_ID_BYTES = 512  # Elasticsearch's limit on `_id`
EVERYTHING = -1  # `follow` of an event that stands for every document of its projection
DOCUMENTS = -2  # `follow` of an event whose key is a JSON array of keys of documents
# `follow` of a claimed event whose key is over MAX_KEY_BYTES. No index has room for as long a key, with its
# escapes, unless it compresses well: a thousand of them are a batch.
KEY_TOO_LONG = -3
MAX_KEY_BYTES = 8_192
MAX_PAGE_BYTES = 2**17  # of the key of an event that names documents, where a claim reads it
BLANK_PADDED = "pg_catalog.bpchar"  # char(n): the blanks at its end are no part of a value
HASHED = "sha256:"
HASH = re.compile(rf"{HASHED}[0-9a-f]{{64}}")
NAME = re.compile(r"[a-z0-9_]{1,50}")
NOT_STORED = ("stamp", "value", "former_id", "former_root_key")  # not in the definition in the database
OWNER = "outboxctl_projection"  # in the `_meta` of a mapping: whose index it is, one of several


@dataclass(frozen=True)
class Relation:
    """A table or view by its schema and name, as PostgreSQL stores them (no quotes)."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class KeyColumn:
    """A column of the key."""

    name: str
    type: str  # a qualified name that an SQL cast takes (`pg_catalog.int8`)

    @property
    def built_in(self) -> bool:
        """Whether the type is PostgreSQL's own, of which no user makes a cast."""
        return self.type.startswith("pg_catalog.")


@dataclass(frozen=True)
class Follow:
    """A table whose changes reach documents: by its `key`, by a query for `keys`, or `all` of them."""

    table: Relation
    key: tuple[str, ...] = ()  # columns that hold the document's key, in the order of the projection's key
    keys: str = ""  # a query for the documents' keys of one changed row: `:name` is a column of that row
    parameters: tuple[str, ...] = ()  # these names
    columns: tuple[str, ...] = ()  # those whose change counts; empty: every column
    types: tuple[str, ...] = ()  # of the key's columns, or of the parameters, as an SQL cast takes them
    all: bool = False
    name: str = ""  # what its events say: the same as long as `table`, `key` and `keys` are

    def named(self) -> "Follow":
        """The same with its name: the table, and a hash of how the documents behind a row are found."""
        how = json.dumps([self.key, self.keys, self.parameters])
        return replace(self, name=f"{self.table} {hashlib.sha256(how.encode()).hexdigest()[:12]}")


class Routing(StrEnum):
    """Where the routing of a document comes from: nowhere, its key, or a column that may change."""

    NONE = "none"
    KEY = "key"
    COLUMN = "column"


@dataclass(frozen=True)
class Projection:
    """Documents of one index: the rows of `document` by the key of `root`; an empty text stands for none."""

    name: str
    root: Relation
    key: tuple[KeyColumn, ...]
    document: Relation
    index: str
    columns: tuple[str, ...] = ()  # the root's columns whose change counts; empty: every column
    follow: tuple[Follow, ...] = ()  # in the order of the declaration
    routing: str = ""  # a column of the document
    pipeline: str = ""  # an ingest pipeline
    mapping: str = ""  # the body of an index (JSON of `settings` and `mappings`) as the file gives it
    view: str = ""  # a hash of the view's definition
    triggers: bool = True  # else the application writes the events (`outboxctl.touch`)
    ignore: tuple[Relation, ...] = ()  # tables that the view reads and whose changes do not count
    version: str = ""  # a column of the document that only grows, in place of the snapshot's serial
    id_prefix: str = ""  # in front of each `_id`, so that several projections can have one index
    skip_unchanged: bool = False  # what the index holds is not sent again
    objects: str = ""  # the mapping (JSON of `properties`) of fields that the view makes in columns of json
    vectors: tuple[str, ...] = ()  # columns whose values become arrays of numbers
    family: str = ""  # the name of a declaration for several schemas,
    schema: str = ""  # and that of which this one was made
    column: str = ""  # of the document: its value takes the place of `{column}` in the name of the index,
    body: str = ""  # which a worker makes by this body (JSON) where a value is new
    stamp: str = field(default="", compare=False)  # a hash of the definition as the database has it
    value: str = ""  # this is only the part of the projection whose documents have that value (`of`)
    # Of a definition of a former version, by which nothing is read: the column that was the `_id`, and the
    # root's columns of the key where the view has other names for them.
    former_id: str = ""
    former_root_key: str = ""

    @property
    def label(self) -> str:
        """Its name for people, metrics and commands; `name` is empty for the built-in projection."""
        return self.name or PROJECTION

    @cached_property
    def longest_key(self) -> int:
        """The bytes of a key's text for which an `_id` has room."""
        return MAX_ID_BYTES - len(self.id_prefix.encode())

    def id_of(self, key: str) -> str:
        """The `_id` of a key's text; behind the prefix a hash where it is longer than the engines allow."""
        encoded = key.encode()
        if len(encoded) > self.longest_key:
            key = f"{HASHED}{hashlib.sha256(encoded).hexdigest()}"
        return self.id_prefix + key

    def key_in(self, id_: str) -> str | None:
        """The inverse: the key's text, or its hash (`is_hash`); None for an id that is another's."""
        return id_.removeprefix(self.id_prefix) if id_.startswith(self.id_prefix) else None

    @property
    def placed(self) -> bool:
        """Whether the database keeps where its documents may be, or what they hold (`outbox_places`)."""
        return self.skip_unchanged or bool(self.column)

    @property
    def routed(self) -> Routing:
        """Where the routing of its documents comes from."""
        if not self.routing:
            return Routing.NONE
        return Routing.KEY if self.routing in {each.name for each in self.key} else Routing.COLUMN

    @property
    def parted(self) -> bool:
        """Whether its documents are in several indexes."""
        return bool(self.column) and not self.value

    @property
    def chosen_by(self) -> str:
        """What a command's `--projection` chooses it by."""
        return f"{self.name}:{self.value}" if self.value else self.name

    @property
    def everywhere(self) -> str:
        """Its index, or a pattern for the engine of the aliases of all its parts."""
        return self.index.replace(f"{{{self.column}}}", "*") if self.parted else self.index

    def index_of(self, value: str | None) -> str:
        """The index of a document with this value of `column`. ValueError says why there is none."""
        name = self.index.replace(f"{{{self.column}}}", value or "")
        broken = broken_rule(name) if value else "it must be a text"
        if broken or NUMBERED.search(name):
            why = broken or "it must not end as one with a number"
            raise ValueError(f"{self.column} is {shown_value(value)}, which makes no index's name: {why}")
        return name

    def of(self, value: str | None) -> "Projection":
        """The part of it whose documents have this value, as a projection of one index. ValueError."""
        return replace(self, index=self.index_of(value), value=value or "")

    def followed(self, place: int, name: str) -> Follow | None:
        """The followed table with a query that an event means; one without a name means that at its place."""
        named = self.follow if name else self.follow[place : place + 1] if place >= 0 else ()
        return next((each for each in named if each.keys and each.name == name), None)

    def key_routing(self, parts: Sequence[str]) -> str:
        """The routing of a key with these parts, where the key determines it."""
        return parts[[each.name for each in self.key].index(self.routing)]

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {name: value for name, value in asdict(self).items() if name not in NOT_STORED}


ENTITY_KEY = (KeyColumn("entity_type", "pg_catalog.varchar"), KeyColumn("entity_id", "pg_catalog.uuid"))


def built_in(index: str, schema: str = "public") -> Projection:
    """The projection of search_index, which needs no declaration; `schema` is that of the outbox."""
    root = Relation(schema, "search_index")
    return Projection("", root, ENTITY_KEY, root, index, version="event_version", triggers=False)


BUILT_IN = built_in("")  # wherever its index is not asked for


def shown_value(value: str | None) -> str:
    """A value as an error shows it."""
    return "NULL" if value is None else ascii(value[:100])


def key_text(parts: Sequence[str]) -> str:
    """One text of a key's parts: an only part as it is, several escaped and joined by `:`."""
    if len(parts) == 1:
        return parts[0]
    return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)


def key_parts(text: str, count: int) -> list[str]:
    """The inverse, for a key of `count` columns. ValueError where the text has another number of parts."""
    if count == 1:
        return [text]
    parts = [part.replace("%3A", ":").replace("%25", "%") for part in text.split(":")]
    if len(parts) != count:
        raise ValueError(f"{len(parts)} parts in a key of {count} columns: {text[:200]!r}")
    return parts


def disjoint(one: str, other: str) -> bool:
    """Whether no `_id` begins with both of these prefixes: documents with them can share an index."""
    return not (one.startswith(other) or other.startswith(one))


def is_hash(key: str) -> bool:
    """Whether what an `_id` has for a key may be the hash of a longer one, which cannot be read from it."""
    return HASH.fullmatch(key) is not None
