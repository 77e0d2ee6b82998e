r"""SQL that shows no hostile character raw, and does the same: a name or a text with one as `U&"a\009B"`.

What a terminal shows, a pipe hands on and psql runs is then one and the same text.
"""

import re

from outboxctl.domain.printable import BEYOND_C0, clean

HOSTILE = re.compile(f"[\x00-\x08\x0b-\x1f{BEYOND_C0}]")
# Literals that go on in another line are one; to PostgreSQL all beyond ASCII are letters.
TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n\r]* | /\*.*?\*/ )
    | (?P<unicode> (?<![\w$]) [uU]& (?: '(?:[^']|'')*' | "(?:[^"]|"")*" ) )
    | (?P<escaped> (?<![\w$]) [eE] '(?: [^'\\] | \\. | '' | '[ \t]*[\n\r]\s*' )*' )
    | (?P<text> '(?: [^'] | '' | '[ \t]*[\n\r]\s*' )*' )
    | (?P<name> "(?: [^"] | "" )*" )
    | (?P<dollar> (?<![\w$]) (?P<tag> \$ (?:[^\W\d]\w*)? \$ ) (?P<body> .*? ) (?P=tag) )
    | (?P<word> [A-Za-z_\x80-\U0010ffff] [\w$\x80-\U0010ffff]* )
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPED = re.compile(rf"\\\\|\\(?={HOSTILE.pattern})|{HOSTILE.pattern}")


def clean_sql(script: str) -> str:
    """The same statements without a raw control character or mark of direction, line breaks and tabs apart.

    Needs `standard_conforming_strings`, as it is by default.
    """
    return HOSTILE.sub(_bare, TOKEN.sub(_token, script))


def _bare(match: re.Match[str]) -> str:
    """White space to PostgreSQL; anything else is an error to it."""
    return "\n" if match[0] == "\r" else " " if match[0] in "\f\v" else clean(match[0])


def _token(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match[0]
    if not HOSTILE.search(text):
        return text
    if kind == "comment":
        return HOSTILE.sub(lambda each: clean(each[0]), text)
    if kind == "escaped":
        return ESCAPED.sub(_in_escapes, text)
    if kind == "unicode":
        return HOSTILE.sub(_unicode, text)
    if kind == "word":
        text = f'"{"".join(each.lower() if each.isascii() else each for each in text)}"'
    elif match["body"] is not None:
        text = "'" + match["body"].replace("'", "''") + "'"
    before = match.string[match.start() - 1 : match.start()]
    space = " " * (before.isalnum() or before in ("_", "$"))
    return f"{space}U&{HOSTILE.sub(_unicode, text.replace(chr(92), chr(92) * 2))}"


def _unicode(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):04X}"


def _in_escapes(match: re.Match[str]) -> str:
    """A backslash before another character is none."""
    text = match[0]
    return text if text == "\\\\" else f"\\u{ord(text):04X}" if text != "\\" else ""
