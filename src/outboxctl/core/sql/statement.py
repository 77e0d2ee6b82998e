"""SQL with named parameters, as it is written in this package."""

import re
from functools import cached_property

# No cast (`::text`), no slice (`a[1:n]`), no time (`12:30`).
NAMED = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)")
ESCAPED = r"\:"  # a colon of a name
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class TextClause:
    """A statement whose parameters are written `:name`."""

    def __init__(self, statement: str) -> None:
        self.text = statement

    def __str__(self) -> str:
        """The statement as it was written."""
        return self.text

    @cached_property
    def query(self) -> str:
        """The driver's form: parameters are `%(name)s`, each other percent sign is doubled."""
        return NAMED.sub(r"%(\1)s", self.text.replace("%", "%%")).replace(ESCAPED, ":")

    @property
    def names(self) -> set[str]:
        """The names of its parameters."""
        return set(PLACEHOLDER.findall(self.query))


def text(statement: str) -> TextClause:
    r"""A statement whose parameters are written `:name`; `\:` is a colon, also in a literal."""
    return TextClause(statement)
