"""Texts for a database whose encoding is not UTF8: characters that it lacks are escaped.

The server refuses a whole statement for one character that it cannot convert (SQLSTATE 22P05).
"""

import codecs
from collections.abc import Iterable

from outboxctl.core.database import parameter_status
from outboxctl.core.sql import Connection
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import SURROGATE

# UTF8 has every character; SQL_ASCII stores the bytes that it gets.
ANY_TEXT = {"UTF8", "SQL_ASCII"}
# One byte a character: Python converts these as the server does. Of the others only ASCII is certain.
SINGLE_BYTE = {
    **{f"LATIN{n}": f"latin{n}" for n in range(1, 11)},
    **{f"WIN{n}": f"cp{n}" for n in (866, 874, *range(1250, 1259))},
    **{f"ISO_8859_{n}": f"iso8859_{n}" for n in range(5, 9)},
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
}


def storable(text: str, encoding: str) -> str:
    r"""The text for a database of this encoding (PostgreSQL's name), what it lacks as `\u2026`."""
    if encoding in ANY_TEXT or text.isascii():
        return text
    codec = SINGLE_BYTE.get(encoding, "ascii")
    return codecs.decode(text.encode(codec, "backslashreplace"), codec)


def stored(connection: Connection, texts: Iterable[str]) -> list[str]:
    """Those of these texts that a column of this connection's database can hold: no others are in it."""
    encoding = encoding_of(connection)
    if encoding != "SQL_ASCII":  # there, any bytes are a text
        texts = [each for each in texts if not SURROGATE.search(each)]
    return [each for each in texts if "\x00" not in each and storable(each, encoding) == each]


def encoding_of(connection: Connection) -> str:
    """The encoding of this connection's database by PostgreSQL's name, `UTF8` for instance."""
    return parameter_status(connection, "server_encoding") or "UTF8"


def require_storable(connection: Connection, name: str, value: str) -> None:
    """Raise UsageError if the database cannot store the value of the setting `name`."""
    encoding = encoding_of(connection)
    if storable(value, encoding) != value:
        raise UsageError(
            f"bad setting {name}: the database's encoding {encoding} lacks a character of {value!r}",
            hint="use characters that this encoding has",
        )
