"""The `:name` parameters of a `keys` query: found, and replaced by what a driver or PREPARE takes.

`:"na me"` is a column that is no plain word. A colon is no parameter in a string, a quoted name, a comment, a
cast (`::text`) or between digits of a slice.
"""

import re
from collections.abc import Callable

SKIPPED = (
    r"'(?:[^']|'')*'",  # a string; with E, a backslash before a quote is an error of PREPARE, not ours
    r'"(?:[^"]|"")*"',
    r"\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$",
    r"--[^\n]*",
    r"/\*.*?\*/",
    r"::",
    r":=",
)
NAME = r':(?P<name>[A-Za-z_]\w*)|:"(?P<quoted>(?:[^"]|"")+)"'
TOKEN = re.compile(f"(?:{'|'.join(SKIPPED)})|{NAME}", re.DOTALL | re.ASCII)


def parameters(sql: str) -> tuple[str, ...]:
    """The names of the parameters, each once, in the order of their first use."""
    return tuple(dict.fromkeys(name for match in TOKEN.finditer(sql) if (name := _name(match))))


def replaced(sql: str, value: Callable[[str], str], rest: Callable[[str], str] = str) -> str:
    """The query with `value(name)` for each parameter, and `rest` of all text between (to double `%`)."""
    parts, end = list[str](), 0
    for match in TOKEN.finditer(sql):
        if name := _name(match):
            parts += [rest(sql[end : match.start()]), value(name)]
            end = match.end()
    return "".join([*parts, rest(sql[end:])])


def _name(match: re.Match[str]) -> str:
    return str(match["name"] or (match["quoted"] or "").replace('""', '"'))
