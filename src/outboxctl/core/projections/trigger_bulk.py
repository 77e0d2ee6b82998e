"""The events of a statement of many rows: one for MOST of them, with arrays of their keys.

To write an event a row would be most of what the triggers cost. A worker writes an event of each document
from it (`follow.write_documents`), or runs the query of keys for all of its rows at once.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

# As many rows or more: fewer have events of their own, which lanes take at once.
BULK, MOST = 20, 500
Values = Mapping[str, str]
# The keys of all shares in one pass.
EVENTS = """\
SELECT {shares} * k.part + v.place AS place, {common} FROM (
                SELECT ({number} - 1) / {most}, {elements}
                FROM {rows} GROUP BY 1) k (part, {names})
            CROSS JOIN LATERAL (
                VALUES {arrays}) v (place, {common}) WHERE v.entity_key IS NOT NULL"""
ELEMENTS = "string_agg({element}, ',') FILTER (WHERE {known})"
# The table's columns have names of their own in `o` and `n`, and numbers in `c`.
ROWS_OF_SIDE = """\
(SELECT row_number() OVER () AS number, {columns} FROM {table} {row}) c
                CROSS JOIN LATERAL (SELECT {named}) {row}"""
ROWS_CHANGED = """\
changed c CROSS JOIN LATERAL (SELECT {old_named}) o CROSS JOIN LATERAL (SELECT {new_named}) n"""
NEW_CHANGED = "c.after IS NOT NULL AND {new_known}{of_share}"
OLD_CHANGED = "c.before IS NOT NULL AND (c.after IS NULL OR {key_differs}) AND {old_known}{of_share}"
OF_SHARE = " AND (c.before IS NULL OR c.after IS NULL OR {differ})"


class Rows(NamedTuple):
    """SQL of the rows, of their number, and for each share which rows have a key, by side."""

    sql: str
    number: str
    known: Sequence[Values]


def rows_of_side(every: Values, shares: Sequence[Values], side: str) -> Rows:
    """The rows of an INSERT or a DELETE, by their values in `shares`."""
    parts = {"columns": every[f"{side}_columns"], "named": every[f"{side}_named"]}
    sql = ROWS_OF_SIDE.format_map({**shares[0], **parts})
    return Rows(sql, "c.number", [{side: each["known"]} for each in shares])


def changed_rows(every: Values, shares: Sequence[Values]) -> Rows:
    """The rows of an UPDATE that changed: each has its new key, and its old one where that is another."""
    known = []
    for share in shares:
        parts = {**share, "of_share": OF_SHARE.format_map(share) if len(shares) > 1 else ""}
        known.append({"new": NEW_CHANGED.format_map(parts), "old": OLD_CHANGED.format_map(parts)})
    return Rows(ROWS_CHANGED.format_map(every), "coalesce(c.before, c.after)", known)


def events(shares: Sequence[Values], arrays: Sequence[Sequence[Values]], rows: Rows, common: str) -> str:
    """A query of the events of shares that have arrays (`trigger_keys.arrays`): numbers, keys, `common`."""
    elements: dict[str, str] = {}
    found = [
        _event(share, array, known, elements)
        for share, array, known in zip(shares, arrays, rows.known, strict=True)
        if array
    ]
    parts = {"rows": rows.sql, "number": rows.number, "most": str(MOST), "shares": str(len(shares) + 1)}
    parts |= {"common": common, "names": ", ".join(elements), "arrays": ",\n                ".join(found)}
    return EVENTS.format_map(parts | {"elements": ",\n                    ".join(elements.values())})


def _event(share: Values, arrays: Sequence[Values], known: Values, elements: dict[str, str]) -> str:
    """A row of VALUES; the elements of its arrays, side by side, are added by their names."""
    parts = []
    for place, array in enumerate(arrays):
        own = [f"{side}_{share['share']}_{place}" for side in known]
        for name, (side, of) in zip(own, known.items(), strict=True):
            elements[name] = ELEMENTS.format(element=array[side], known=of)
        both = " || ',' || ".join(own)
        text = own[0] if len(own) == 1 else f"coalesce({both}, {', '.join(own)})"
        parts.append(f"{array['before']} || {text}")
    return f"({share['share']}, {' || '.join([*parts, arrays[0]['end']])}, {share['common_in_bulk']})"
