"""`${NAME}` in `.env`: python-dotenv puts the environment's value there, and so could a stranger's file."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator

from dotenv.main import DotEnv
from dotenv.variables import Variable, parse_variables


def taken_in(settings: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each variable of the environment that a value in `.env` takes in, with the name of that value."""
    values = _raw()
    for name in sorted(settings):
        for variable in sorted(_needed(name, values)):
            if os.environ.get(variable):
                yield variable, name


def _raw() -> dict[str, list[str]]:
    """What stands behind each name. A name that is given twice has two values: the first may be used, too."""
    values = defaultdict(list)
    for name, value in DotEnv(".env", interpolate=False, encoding="utf-8").parse():
        values[name].append(value or "")
    return values


def _needed(name: str, values: dict[str, list[str]]) -> set[str]:
    """Every variable that a name's value is made of, directly or by way of others."""
    needed: set[str] = set()
    ahead = {name}
    while ahead:
        texts = [text for each in ahead for text in values.get(each, ())]
        found = {atom.name for text in texts for atom in parse_variables(text) if isinstance(atom, Variable)}
        ahead = found - needed
        needed |= found
    return needed
