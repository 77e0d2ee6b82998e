"""What a view's text proves: that its key is the root's, and how a change of each table is followed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from outboxctl.core.projections.view_texts import ViewTexts
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis import reading, rows
from outboxctl.operations.projection.analysis.chains import Chains
from outboxctl.operations.projection.analysis.keys import KeyPath, TableKey, key_path
from outboxctl.operations.projection.analysis.lineage import Lineage
from outboxctl.operations.projection.analysis.model import AnalysedView, Branch, Leaf, NotUnderstoodError, Use

OTHER_ROWS = "{} makes documents depend on others' rows"
KEPT = "the {} JOIN in {} keeps its rows also where it finds none of {}"
NOT_JOINED = "no equality of columns joins it with {}"


@dataclass
class Analysis:
    """What is proved of a view and what is not.

    `follows`: how the documents of a changed row of each table are found, the root's own rows apart;
    `unproven`: tables of which one use at least cannot be followed, with the reasons. `wrong_key` says what
    the view has as its key instead of the root's, `unknown_key` why that cannot be told. `several` says what
    makes several rows of one key, `read` are the tables that the view's text names. `reading`: how a
    document's rows are found. `view` is its text as it was understood.
    """

    follows: dict[Relation, list[KeyPath]] = field(default_factory=dict)
    unproven: dict[Relation, list[str]] = field(default_factory=dict)
    wrong_key: str = ""
    unknown_key: str = ""
    several: str = ""
    read: set[Relation] = field(default_factory=set)
    reading: list[TableKey] = field(default_factory=list)
    view: AnalysedView | None = None


def analyse(texts: ViewTexts, view: Relation, root: TableKey) -> Analysis:
    """Analyse a view of the documents of `root`, whose key's columns have the same names in the view."""
    try:
        return _Prover(reading.read(texts, view), root).analysis()
    except NotUnderstoodError as error:
        every = {table: [str(error)] for table in texts.tables}
        return Analysis(unknown_key=str(error), unproven=every, read={*every})


@dataclass(frozen=True)
class _End:
    """The columns of tables that the document's key comes from, in some branches of UNIONs."""

    branches: tuple[Branch, ...]
    key: tuple[Leaf, ...]

    def of(self, use: Use) -> bool:
        """Whether rows of the use may be in these branches."""
        return all(use.level.branch.get(derived, number) == number for derived, number in self.branches)


class _Prover:
    def __init__(self, view: AnalysedView, root: TableKey) -> None:
        self._view, self._root = view, root
        self._lineage, self._chains = Lineage(view.texts.tables), Chains(view)
        self._made = Analysis(view=view, read={use.table for use in view.uses})

    def analysis(self) -> Analysis:
        ends = self._branch_keys()
        for end in ends:
            if self._root not in self._keyed(end):
                self._made.wrong_key = self._made.wrong_key or self._named(end)
        faults = (rows.several(self._view, self._lineage, end.key[0], end.branches) for end in ends)
        self._made.several = next(filter(None, faults), "")
        if self._made.unknown_key:
            self._made.unproven = {table: [self._made.unknown_key] for table in self._made.read}
        for use in self._view.uses:
            for end in ends:
                if end.of(use):
                    self._follow(use, end)
        return self._made

    def _branch_keys(self) -> list[_End]:
        """Where the key comes from, for each branch of UNIONs; none, with the reason, if unclear."""
        columns = [self._lineage.output(self._view.top, name) for name in self._root.columns]
        for name, leaves in zip(self._root.columns, columns, strict=True):
            if not leaves or not all(leaf.plain for leaf in leaves):
                self._made.wrong_key = self._made.wrong_key or self._shown(name)
        if self._made.wrong_key:
            return []
        by_branch = [
            {tuple(each for each in leaf.crossed if len(each[0].branches) > 1): leaf for leaf in leaves}
            for leaves in columns
        ]
        if any(each.keys() != by_branch[0].keys() for each in by_branch):
            self._made.unknown_key = "its parts come from different SELECTs"
            return []
        return [_End(branches, tuple(each[branches] for each in by_branch)) for branches in by_branch[0]]

    def _shown(self, name: str) -> str:
        """What a column of the view is that is no column of a table."""
        query = self._view.top.branches[0]
        index = list(self._view.top.names).index(name)
        node = query.select.expressions[index].unalias()
        return f"{name} is {node.sql('postgres', normalize_functions='lower')[:200]}"

    def _keyed(self, end: _End) -> Iterator[TableKey]:
        """The tables with a row beside each row of the view that has its key, by these columns."""
        first = end.key[0].use
        reach = self._chains.reach(first, end.branches, rows=False)
        for use in (first, *reach.came):
            for names in product(*(reach.holding(use, leaf) for leaf in end.key)):
                yield TableKey(use.table, names)

    def _named(self, end: _End) -> str:
        """What the key is."""
        pairs = zip(end.key, self._root.columns, strict=True)
        return ", ".join(f"{name} is {leaf.column} of {leaf.use.table}" for leaf, name in pairs)

    def _follow(self, use: Use, end: _End) -> None:
        reach = self._chains.reach(use, end.branches)
        cut = [leaf.cut & use.level.within for leaf in end.key]
        how = None if any(cut) else key_path(reach, end.key)
        self._made.reading += how.reading if how else ()
        if how is None:
            reasons = [next(iter(each)).reason for each in cut if each] + [reach.cut]
            reasons += [each.cut for each in use.level.within]
            why = next(filter(None, reasons), "")
            root = self._root.table
            text = OTHER_ROWS.format(why) if why else NOT_JOINED.format(root)
            if reach.kept and not why:
                text = KEPT.format(reach.kept, ", ".join(sorted(map(str, use.views))), root)
            text += f" ({use.alias})" if use.alias != use.table.name else ""
            told = self._made.unproven.setdefault(use.table, [])
            told += [text] if text not in told else []
        elif self._root != (use.table, how.key):
            follows = self._made.follows.setdefault(use.table, [])
            follows += [how] if how not in follows else []
