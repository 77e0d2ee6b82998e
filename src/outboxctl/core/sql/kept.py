"""Looking up once what is the same within a block: facts of the catalog that a plan needs again and again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

KEY = "outboxctl.kept"  # in the `info` of a connection
Of = ParamSpec("Of")
Fact = TypeVar("Fact")


@contextmanager
def keeping(connection: Connection) -> Iterator[None]:
    """Within the block, which changes nothing that they look at, `kept` functions look once."""
    connection.info[KEY] = {}
    try:
        yield
    finally:
        connection.info.pop(KEY, None)


def kept(look: Callable[Concatenate[Connection, Of], Fact]) -> Callable[Concatenate[Connection, Of], Fact]:
    """A function of the catalog whose answers are kept; nobody changes an answer."""

    @wraps(look)
    def looked_up(connection: Connection, /, *of: Of.args, **named: Of.kwargs) -> Fact:
        answers: dict[Any, Fact] | None = connection.info.get(KEY)
        if answers is None:
            return look(connection, *of, **named)
        key = (look, of, *named.items())
        if key not in answers:
            answers[key] = look(connection, *of, **named)
        return answers[key]

    return looked_up
