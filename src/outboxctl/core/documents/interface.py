"""The interface of a source of documents, and the types of its answers; reading by it is in `source`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from psycopg.sql import Composable

from outboxctl.core.database import Database
from outboxctl.core.documents.since import Since
from outboxctl.core.sql import Connection
from outboxctl.domain.projection import Projection, Relation, Routing


class PageRange(NamedTuple):
    """The pages of a table, or of each of its partitions, from `first` to before `end` (None: all)."""

    first: int
    end: int | None


SECONDS = 600.0  # for one statement: a page of a heavy view
UNCONDITIONAL = -1  # the version of a delete of whatever the index holds


class SourceRow(NamedTuple):
    """What is read by key: `text` is the document's JSON, None where there is none, LEFT_OUT without room.

    `version`: that of the row, or of the snapshot; of a row that is gone perhaps UNCONDITIONAL. `error`: why
    no document can be made, often in PostgreSQL's words.
    """

    key: str
    text: str | None = None
    version: int | None = None
    routing: str = ""
    error: str = ""


class ChangedKey(NamedTuple):
    """A key whose event `moved`, or whose row may be gone; `newest` is the newest version of its events."""

    key: str
    moved: bool = True
    newest: int | None = None


@dataclass
class States:
    """Documents at one moment, by id: their keys, their rows (or why one cannot be read), events in flight.

    Both of one document are of one snapshot. An id without a key is none that a row can have.
    """

    keys: dict[str, str] = field(default_factory=dict)
    rows: dict[str, SourceRow] = field(default_factory=dict)
    flying: set[str] = field(default_factory=set)


class SourceInterface(ABC):
    """The documents of a projection; `versioned`: rows are compared by versions of their own."""

    projection: Projection
    versioned = False
    alias = "r"  # of the root in statements

    @property
    def pipeline(self) -> str:
        """The projection's."""
        return self.projection.pipeline

    @property
    def routing(self) -> Routing:
        """The projection's."""
        return self.projection.routed

    @abstractmethod
    def root(self, connection: Connection) -> Relation:
        """The table."""

    @abstractmethod
    def parts(self, key: str) -> list[str]:
        """The values of the key's columns as texts. ValueError for another number of them."""

    @abstractmethod
    def read(
        self, connection: Connection, keys: Sequence[str], *, content: bool, seconds: float = SECONDS
    ) -> list[SourceRow]:
        """What these keys have in one snapshot, in their order; without `content` any text is `{}`.

        At most BYTES of documents, or one. Raises ReadRefusedError for what PostgreSQL raises.
        """

    @abstractmethod
    def current(self, db: Database, keys: Sequence[str]) -> list[SourceRow]:
        """The same in a transaction of its own, with the version that is sent."""

    @abstractmethod
    def keys(self, db: Database, ids: Sequence[str]) -> dict[str, str]:
        """The keys of those of these ids that a row can have."""

    @abstractmethod
    def nameable(self, key: str) -> bool:
        """Whether an event can name it."""

    @abstractmethod
    def in_flight(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        """Those of these ids that have an event that is not settled."""

    @abstractmethod
    def failed(self, connection: Connection, *, most: int) -> frozenset[str]:
        """The ids of documents that have a failed event; `most` failed events are looked at."""

    @abstractmethod
    def moved(self, connection: Connection, since: datetime) -> bool:
        """Whether any event is not settled, or was settled since then."""

    @abstractmethod
    def changed(self, connection: Connection, since: Since, *, size: int) -> Iterator[list[ChangedKey]]:
        """The keys whose events changed, and those that may be gone, `size` at a time; of one snapshot."""

    @abstractmethod
    def _row(self, connection: Connection, *, content: bool, versions: bool) -> tuple[Composable, Composable]:
        """SQL for what comes before SELECT, and for the four lines of a row (`copying.RawDocument`)."""

    @abstractmethod
    def _columns(self, *, content: bool) -> Composable:
        """SQL for the columns of a row (`copying.RowState`)."""

    @abstractmethod
    def _key(self) -> Composable:
        """SQL for the text of a row's key."""

    @abstractmethod
    def _prepare(self, connection: Connection) -> None:
        """Set what texts and plans depend on, for this transaction."""

    def require(self, connection: Connection) -> None:  # noqa: B027 - what is built in is always in force
        """Raise ChangedError unless this definition is in force."""

    def unreached(self, connection: Connection, *, size: int) -> Iterator[str]:  # noqa: ARG002
        """Keys of documents that no row of the root has, `size` fetched at once."""
        return iter(())

    @abstractmethod
    def documents(self, connection: Connection) -> int:
        """How many documents there are, counted in one snapshot."""

    def reading(
        self,
        connection: Connection | None,  # noqa: ARG002 - of the interface
        relation: Relation | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Names what is read in the errors of the block that have no row for their reason."""
        return nullcontext()

    def say(self, text: str) -> None:  # noqa: B027 - a table has nothing to tell
        """Tell the operator."""
