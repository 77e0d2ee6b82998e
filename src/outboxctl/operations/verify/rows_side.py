"""The rows' side of a comparison in one pass: in a sketch, whoever has read them."""

from collections.abc import Sequence

from outboxctl.core.documents.rows import RowState, SourcePage, state_of
from outboxctl.core.documents.source import DocumentSource
from outboxctl.operations.verify.sketch import Sketch, numbers, secret

NO_BODY = b"{}"  # where content is not compared


def possible(source: DocumentSource, *, content: bool) -> bool:
    """Not where hashes have no secret key, or a pipeline adds fields."""
    return secret() and not (content and source.pipeline)


class RowsSide:
    """Rows in a sketch; `content`: with their documents."""

    def __init__(self, source: DocumentSource, *, content: bool) -> None:
        self._versioned, self.content = source.versioned, content
        self.sketch, self.rows = Sketch(), 0

    def add(self, states: Sequence[RowState]) -> None:
        """Add rows as a comparison reads them; safe to use from several threads."""
        if [None for state in states if b"\n" in state[2]]:  # which are sent without
            states = [(id_, version, body.replace(b"\n", b" "), at) for id_, version, body, at in states]
        self.sketch.add(numbers(states))

    def add_sent(self, page: SourcePage) -> None:
        """Add rows as a fill sends them, by one thread."""
        versioned, content = self._versioned, self.content
        self.add(
            [
                (id_, version if versioned else None, body if content else NO_BODY, routing)
                for id_, version, body, routing in map(state_of, page.rows)
            ]
        )
        self.rows += len(page.rows)
