"""What was seen of a document, one after the other: it never goes back."""

from collections.abc import Mapping
from typing import Any

CHILDREN = ("categories", "reviews", "offers")


class Past:
    """What was seen of one document, of `shop.product_revisions`, so far: no row of it may become older.

    Not each of its states need be seen.
    """

    def __init__(self) -> None:
        self._root, self._gone = 0, True
        self._rows: Mapping[str, int] = {}
        self._newest: dict[str, int] = {}

    def see(self, document: Mapping[str, Any] | None) -> str:
        """What is wrong with this document, or with None where there is none; empty: nothing."""
        if document is None:
            self._gone = True
            return ""
        rows = {row: rev for kind in CHILDREN for row, rev in (document.get(kind) or {}).items()}
        problem = self._problem(document["rev"], rows)
        self._root, self._gone, self._rows = document["rev"], False, rows
        self._newest |= rows
        return problem

    def _problem(self, root: int, rows: Mapping[str, int]) -> str:
        if self._gone and root <= self._root:
            return "it came back after its delete"
        if root < self._root:
            return "its root became older"
        for row, revision in rows.items():
            newest = self._newest.get(row, 0)
            # A row that moves away and back is changed twice, unless its product moves itself.
            back = root == self._root and row not in self._rows and revision <= newest
            if revision < newest or back:
                return f"its {row} became older"
        return ""
