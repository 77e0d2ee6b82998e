"""Which tables of a plan indexes lead to, from what is known, and which index would lead to the others."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from outboxctl.core.projections import plan_conditions as terms
from outboxctl.core.projections.index_entries import Entries
from outboxctl.core.projections.plan_scans import Scan
from outboxctl.domain.projection import Relation

AS_TEXT = re.compile(rf"\(({terms.COLUMN.pattern})\)::text")


@dataclass(frozen=True)
class TableUse:
    """One use of a table in a statement, with the scans of it: several where it is partitioned."""

    alias: str
    table: Relation
    scans: tuple[Scan, ...]


@dataclass
class IndexPaths:
    """The uses of tables in a plan, with its conditions; `led` are those that indexes lead to so far.

    A term is bound where it equals one that has no column of a table which is not reached.
    """

    uses: Sequence[TableUse]
    conditions: Sequence[str]
    entries: Entries
    led: set[str] = field(default_factory=set)
    _equal: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = {name: use for use in self.uses for name in (use.alias, *(s.alias for s in use.scans))}
        for condition in self.conditions:
            for left, right in terms.equalities(condition):
                self._join(self._term(left), self._term(right))

    @property
    def reads_all(self) -> bool:
        """Whether the plan reads some table as a whole."""
        return not all(map(self._only_entered, self.uses))

    def missing(self) -> Iterator[tuple[TableUse, tuple[str, ...]]]:
        """The uses that no index leads to, with what an index would be entered by; nothing: not known."""
        while rest := self._unreached():
            found = [(use, self._wanted(use)) for use in rest]
            whole = [use for use in rest if not self._only_entered(use)]
            use, wanted = next(
                (pair for pair in sorted(found, key=lambda pair: pair[0] not in whole) if pair[1]),
                ((whole or rest)[0], ()),
            )
            self.led.add(use.alias)
            if wanted or (use in whole and self._conditional(use)):
                yield use, wanted

    def _conditional(self, use: TableUse) -> bool:
        """Whether not all rows are wanted: there is a condition, or another table."""
        own = {use.alias, *(scan.alias for scan in use.scans)}
        return len(self.uses) > 1 or any(terms.aliases(each, own) for each in self.conditions)

    def _unreached(self) -> list[TableUse]:
        """The uses that indexes do not lead to, once each that they lead to is counted."""
        while new := {use.alias for use in self.uses if use.alias not in self.led and self._leads(use)}:
            self.led |= new
        return [use for use in self.uses if use.alias not in self.led]

    def _leads(self, use: TableUse) -> bool:
        bound = {self._own(use, term) for term in self._bound(use)}
        return all(self._entered(scan, use, bound) for scan in use.scans)

    def _entered(self, scan: Scan, use: TableUse, bound: set[str]) -> bool:
        entries = self.entries.of(scan.table)
        by_plan = self._only_entered(use) and all(
            self._uses(condition) <= {use.alias, *self.led} for _, condition in scan.ways
        )
        return by_plan or any(each.whole and terms.bare(each.first) in bound for each in entries.values())

    def _only_entered(self, use: TableUse) -> bool:
        """Whether the plan enters indexes by what they begin with, in each scan of a table."""
        return all(scan.ways and all(self._begins(scan, *way) for way in scan.ways) for scan in use.scans)

    def _begins(self, scan: Scan, index: str, condition: str) -> bool:
        entry = self.entries.of(scan.table).get(index)
        if not condition or entry is None:
            return False
        return (
            entry.expression
            or re.search(rf"(?<![\w\"]){re.escape(entry.first)}(?![\w\"])", condition) is not None
        )

    def _wanted(self, use: TableUse) -> tuple[str, ...]:
        """What an index of the table would be entered by: columns where that is possible."""
        bound = sorted(self._bound(use), key=lambda term: not terms.plain_column(term))
        varying = [term for term in bound if any(map(terms.varies, self._others(use, term)))]
        chosen = [self._own(use, term) for term in varying or bound]
        columns = [term for term in chosen if re.fullmatch(terms.NAME, term)]
        return tuple(dict.fromkeys(columns)) or tuple(f"({term})" for term in dict.fromkeys(chosen))

    def _bound(self, use: TableUse) -> list[str]:
        """The terms of a table alone that equal something known."""
        own = (term for term in self._equal if self._uses(term) == {use.alias})
        return [term for term in own if self._others(use, term)]

    def _others(self, use: TableUse, term: str) -> list[str]:
        """The known terms that equal one of a table."""
        return [each for each in self._class(term) if use.alias not in self._uses(each) <= self.led]

    def _class(self, term: str) -> set[str]:
        found, new = {term}, [term]
        while new:
            more = self._equal[new.pop()] - found
            found |= more
            new += more
        return found

    def _uses(self, term: str) -> set[str]:
        return {self._names[name].alias for name in terms.aliases(term, self._names)}

    def _term(self, term: str) -> str:
        """A term with the table's own name for each of its partitions, a varchar as it is in an index."""
        for name in terms.aliases(term, self._names):
            term = terms.renamed(term, name, self._names[name].alias)
        match = AS_TEXT.fullmatch(term)
        use = self._names.get(terms.unquoted(match["alias"])) if match else None
        as_stored = match and use and match["column"] in self.entries.varchars(use.table)
        return match[1] if match and as_stored else term

    def _own(self, use: TableUse, term: str) -> str:
        return terms.renamed(term, use.alias, "")

    def _join(self, left: str, right: str) -> None:
        self._equal.setdefault(left, set()).add(right)
        self._equal.setdefault(right, set()).add(left)


def uses(found: Sequence[Scan], tops: Mapping[Relation, Relation]) -> list[TableUse]:
    """The scans by the uses of tables; a partition is called as its table is, with a number."""
    by_name: dict[tuple[str, Relation], list[Scan]] = {}
    for scan in found:
        top = tops[scan.table]
        name = re.sub(r"_\d+$", "", scan.alias) if top != scan.table else scan.alias
        by_name.setdefault((name, top), []).append(scan)
    return [TableUse(name, top, tuple(scans)) for (name, top), scans in by_name.items()]
