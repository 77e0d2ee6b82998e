"""The scans of tables in a plan of EXPLAIN (FORMAT JSON, VERBOSE), and all of its conditions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outboxctl.domain.projection import Relation

INDEX_SCANS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
SCANS = ("Seq Scan", "Bitmap Heap Scan", *INDEX_SCANS)
CONDITIONS = ("Index Cond", "Recheck Cond", "Filter", "Join Filter", "Hash Cond", "Merge Cond")
Node = Mapping[str, Any]


@dataclass(frozen=True)
class Scan:
    """A scan of a table under a name: by indexes, each with the condition that it is entered by.

    Without a condition all of an index is read, without an index all of the table.
    """

    alias: str
    table: Relation
    ways: tuple[tuple[str, str], ...] = ()


def scans(node: Node) -> Iterator[Scan]:
    """The scans of tables in a plan, in its order."""
    if node["Node Type"] in SCANS and "Relation Name" in node:
        table = Relation(node["Schema"], node["Relation Name"])
        yield Scan(node["Alias"], table, tuple(_ways(node)))
    for inner in node.get("Plans", ()):
        yield from scans(inner)


def conditions(node: Node) -> Iterator[str]:
    """The conditions of a plan's scans and joins."""
    yield from (node[name] for name in CONDITIONS if name in node)
    for inner in node.get("Plans", ()):
        yield from conditions(inner)


def _ways(node: Node) -> Iterator[tuple[str, str]]:
    """The indexes of a scan; a subquery in its condition has scans of its own."""
    if node["Node Type"] in INDEX_SCANS:
        yield node["Index Name"], node.get("Index Cond", "")
        return
    for inner in node.get("Plans", ()):
        if inner["Node Type"].startswith("Bitmap"):
            yield from _ways(inner)
