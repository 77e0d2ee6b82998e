"""Names of what a projection has in the database."""

from outboxctl.domain.projection import Relation

MAX_NAME = 63  # bytes of a name in PostgreSQL
PREFIX = "outbox_document_"
LONGEST_WITH_QUERY = MAX_NAME - len(PREFIX)


def view_name(projection: str) -> str:
    """The name of the view that is made of a `query`."""
    return f"{PREFIX}{projection}"


def is_own_view(projection: str, document: Relation, schema: str) -> bool:
    """Whether a document is the view that we made."""
    return document == Relation(schema, view_name(projection))
