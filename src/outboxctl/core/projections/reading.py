"""Reading documents with a version: the base of all versions is raised first where that is needed."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from outboxctl.core.database import Database
from outboxctl.core.projections import documents
from outboxctl.core.projections.documents import Documents, Opening
from outboxctl.core.refused_reads import ReadRefusedError
from outboxctl.domain.errors import UnreachableError
from outboxctl.domain.projection import Projection

Found = TypeVar("Found")
RAISES = 3  # times that the base may have to be raised by others between two reads


def versioned(
    database: Database,
    projection: Projection,
    keys: Sequence[str],
    *,
    seconds: float,
    max_bytes: int | None,
    raise_base: Callable[[], object],
    opening: Opening | None = None,
) -> Documents:
    """The documents of these keys with a version.

    `raise_base` is called where the base has to be raised first. Raises as `documents.read`, and
    UnreachableError where that never ends.
    """

    def read() -> Documents | None:
        with database.begin() as connection:
            found = documents.read(
                connection,
                projection,
                keys,
                seconds=seconds,
                max_bytes=max_bytes,
                commit=True,
                opening=opening,
            )
        return None if found.version is None and not projection.version else found

    return with_version(database, read, raise_base)


def with_version(
    database: Database, read: Callable[[], Found | None], raise_base: Callable[[], object]
) -> Found:
    """What `read` returns, None where the base has to be raised first."""
    for left in reversed(range(RAISES)):
        try:
            found = read()
        except ReadRefusedError as error:
            if not (error.of_any_row and left):
                raise
            database.renew_connections()  # each session asks anew what the server hides from it
            continue
        if found is not None:
            return found
        raise_base()
    raise UnreachableError("the server or its timeline changes again and again", hint="see DATABASE_URL")
