"""Lines for a shell to run. What comes from outside is data in them, whatever characters it holds."""

from shlex import quote


def quoted(text: object) -> str:
    """One word of a POSIX shell, between quotes even where it needs none, as the lab document has it."""
    plain = str(text)
    return quote(plain) if "'" in plain else f"'{plain}'"


def export(name: str, value: object) -> str:
    """The line that sets a variable to this value."""
    return f"export {name}={quoted(value)}"
