"""The conditions in a plan of EXPLAIN VERBOSE as text: which terms are equal, and whose columns a term has.

EXPLAIN sets parentheses around each comparison, and the name of the table before each column.
"""

import re
from collections.abc import Collection, Iterator

NAME = r'(?:"(?:[^"]|"")+"|[^\W\d]\w*)'
STRING = r"'(?:[^']|'')*'"
WORD = re.compile(rf"{STRING}|{NAME}|[()\[\]]| = |.", re.DOTALL)
REFERENCE = re.compile(rf"{STRING}|(?<![\w.\"])(?P<alias>{NAME})\.(?P<column>{NAME})")
COLUMN = re.compile(rf"(?P<alias>{NAME})\.(?P<column>{NAME})")
# What differs from one changed row, or one document, to the next.
VARIES = re.compile(rf"{STRING}|(?P<varies>\$\d|{NAME}\.{NAME})")


def equalities(condition: str) -> Iterator[tuple[str, str]]:
    """The pairs of terms that a condition holds equal, whatever else it demands."""
    for part in _split(bare(condition), "AND"):
        sides = _split(bare(part), " = ")
        if len(sides) == 2:  # noqa: PLR2004 - the two sides of one comparison
            left, right = map(bare, sides)
            yield left, right


def bare(text: str) -> str:
    """A text without the parentheses around all of it."""
    text = text.strip()
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def aliases(term: str, known: Collection[str]) -> frozenset[str]:
    """The `known` names of tables whose columns a term has."""
    found = (match["alias"] for match in REFERENCE.finditer(term))
    return frozenset(unquoted(alias) for alias in found if alias) & frozenset(known)


def varies(term: str) -> bool:
    """Whether a term has a parameter or a column."""
    return any(match["varies"] for match in VARIES.finditer(term))


def renamed(term: str, old: str, new: str) -> str:
    """A term with another name of a table before its columns; none: as an index of it has the term."""

    def column(match: re.Match[str]) -> str:
        if not match["alias"] or unquoted(match["alias"]) != old:
            return match[0]
        return f"{quoted(new)}.{match['column']}" if new else match["column"]

    return REFERENCE.sub(column, term)


def plain_column(term: str) -> str | None:
    """The column, quoted where SQL needs it, of a term that is nothing else."""
    match = COLUMN.fullmatch(term)
    return match["column"] if match else None


def quoted(name: str) -> str:
    """The inverse of `unquoted`, the same for the same name."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def unquoted(name: str) -> str:
    """A name as the catalog has it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _split(text: str, at: str) -> list[str]:
    """The parts of a text between separators that are in no parentheses."""
    parts, depth = [""], 0
    for word in WORD.findall(text):
        depth += (word in "([") - (word in ")]")
        if depth == 0 and word == at:
            parts.append("")
        else:
            parts[-1] += word
    return parts


def _closes(text: str) -> int:
    """Where the parenthesis is closed that a text begins with; -1 where it is not."""
    depth, place = 0, 0
    for word in WORD.findall(text):
        depth += (word == "(") - (word == ")")
        if depth == 0:
            return place
        place += len(word)
    return -1
