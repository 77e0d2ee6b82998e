"""A fault from the words of a command line."""

import inspect
from typing import Any

from outboxctl.cli import parse
from outboxctl.domain.errors import UsageError
from outboxctl.drills.proxy import ProxyFault, faults

KNOWN = {made.__name__.replace("_", "-"): made for made in faults.ALL}


def chosen(name: str | None, flags: dict[str, Any]) -> ProxyFault | None:
    """The fault of that name with the flags that were given (those not None); None without a name.

    Raises UsageError for flags that the fault does not take, and for one that it needs.
    """
    given = {flag: value for flag, value in flags.items() if value is not None}
    if name is None:
        if given:
            raise UsageError(f"{_flag(min(given))} says nothing without --fault", hint=_one_of_them())
        return None
    constructor = KNOWN[parse.one_of("--fault", name, list(KNOWN), "fault")]
    taken = inspect.signature(constructor).parameters
    if strange := sorted(given.keys() - taken.keys()):
        can = ", ".join(map(_flag, taken)) or "no flags of its own"
        raise UsageError(f"{_flag(strange[0])} does not go with --fault {name}", hint=f"it takes {can}")
    for flag, parameter in taken.items():
        if parameter.default is parameter.empty and flag not in given:
            raise UsageError(f"--fault {name} needs {_flag(flag)}")
    return constructor(**given)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _one_of_them() -> str:
    return f"--fault is one of: {', '.join(KNOWN)}"
