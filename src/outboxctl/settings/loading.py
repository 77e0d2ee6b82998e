"""Reading all settings, and one line for what is wrong with them."""

import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief, plain
from outboxctl.settings import placement, unknown_names
from outboxctl.settings.model import Settings, all_names, env_names, is_secret
from outboxctl.settings.origin import dotenv_values, files_in_force
from outboxctl.settings.secrecy import register_secrets


def load(**flags: Any) -> Settings:
    """Read all settings; a flag that is None was not given.

    Raises UsageError naming a bad one, for a name that begins like ours and is none, and for a secret
    that would go to an endpoint of a less trusted place than its own.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        register_secrets(given)
        _refuse_unknown_names()
        found = Settings(**given)
    except ValidationError as error:
        raise UsageError(_explain(error, given)) from None
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f".env cannot be read: {type(error).__name__}") from None
    placement.check(found, given)
    found._files = {field: file for field, file in files_in_force().items() if field not in given}
    return found


def doubts() -> list[str]:
    """What may be misspelt, and may be somebody else's as well."""
    near = unknown_names.doubtful(dotenv_values() | os.environ, all_names())
    return [f"{name} is no setting of ours; did you mean {setting}?" for name, setting in near.items()]


def _refuse_unknown_names() -> None:
    known = all_names()
    for level, where in ((os.environ, "the environment"), (dotenv_values(), ".env")):
        for name in unknown_names.unknown(level, known):
            near = unknown_names.nearest(name, known)
            raise UsageError(
                f"unknown setting {brief(name, 80)} in {where}",
                hint=f"did you mean {near}?" if near else "`outboxctl config show` lists all; unset it",
            )


def _explain(error: ValidationError, flags: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    field = _field_of(str(first["loc"][0]))
    where = f"--{field.replace('_', '-')}" if field in flags else _name_set(field)
    raw = flags.get(field, _raw(field))
    shown = "" if is_secret(field) else f" {brief(repr(raw), 80)}"
    linked = unknown_names.link(raw) if isinstance(raw, str) else False
    why = "a Kubernetes service set it; say enableServiceLinks: false" if linked else plain(first["msg"])
    return f"bad setting {where}{shown}: {why}"


def _field_of(location: str) -> str:
    return next(f for f in Settings.model_fields if location == f or location in env_names(f))


def _name_set(field: str) -> str:
    if file := files_in_force().get(field):
        return f"{file[0]} ({brief(file[1], 200)})"
    name = _set_name(field)
    return f"{name} in {'the environment' if os.environ.get(name) else '.env'}" if _raw_of(name) else name


def _set_name(field: str) -> str:
    return next((name for name in env_names(field) if _raw_of(name)), env_names(field)[0])


def _raw(field: str) -> str | None:
    return _raw_of(_set_name(field))


def _raw_of(name: str) -> str | None:
    return os.environ.get(name) or dotenv_values().get(name)
