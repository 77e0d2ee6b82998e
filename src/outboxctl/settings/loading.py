"""Reading all settings: secrets hidden first, unknown names refused, one line for what is wrong."""

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from outboxctl.domain import redaction
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief, plain
from outboxctl.settings import dotenv, secret_files
from outboxctl.settings.model import Settings, all_names, env_names, is_secret, secrets
from outboxctl.settings.origin import dotenv_values, files_in_force

PREFIX = "OUTBOX_"
# What Kubernetes sets for a service of the pod's namespace (`outbox`, `outbox-metrics`):
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
LINK = re.compile(r"OUTBOX_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
LINKED_PORT = re.compile(r"(tcp|udp|sctp)://\S+")
FOREIGN_SECRETS = ("PGPASSWORD",)  # no setting of ours: libpq reads it from the environment by itself


def load(**flags: Any) -> Settings:
    """Read all settings; a flag that is None was not given.

    Raises UsageError naming a bad one, and for a misspelt name with our prefix.
    """
    options = {name: value for name, value in flags.items() if value is not None}
    try:
        register_secrets(options)
        _refuse_unknown_names()
        files = _files(options)
        read = {field: secret_files.read(name, path) for field, (name, path) in files.items()}
        more = {} if dotenv.usable() else {"_env_file": None}
        settings = Settings(**options | read | more)
    except ValidationError as error:
        message, name = _explain(error, options)
        raise UsageError(message, hint=f"`outboxctl explain {name}`") from None
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f".env cannot be read: {type(error).__name__}") from None
    settings._files = files
    return settings


def _files(flags: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Variable and path of each file that holds a secret in force, by field."""
    names = [name for field, name in secrets() if field not in flags]
    for level in (os.environ, dotenv_values()):
        secret_files.refuse_both(names, level)
    return {field: file for field, file in files_in_force().items() if field not in flags}


def register_secrets(flags: Mapping[str, Any]) -> None:
    """Register for redaction every secret of flags, environment and `.env`, a malformed one too.

    A secret in a file is registered when it is read (`secret_files`): it may change while the process runs.
    """
    for level in (os.environ, dotenv_values()):
        for name in [*(name for _, name in secrets()), *FOREIGN_SECRETS]:
            redaction.add_setting(name, level.get(name) or "")
    for field, name in secrets():
        redaction.add_setting(name, str(flags.get(field) or ""))


def unknown_names(level: Mapping[str, str | None], known: Collection[str]) -> list[str]:
    """Names with our prefix that are no settings, sorted."""
    names = (name for name in level if name.startswith(PREFIX) and name not in known)
    return sorted(name for name in names if not _by_kubernetes(name, level[name]))


def _refuse_unknown_names() -> None:
    known = all_names()
    for level, where in ((os.environ, "the environment"), (dotenv_values(), ".env")):
        for name in unknown_names(level, known):
            near = _nearest(name, known)
            raise UsageError(
                f"unknown setting {brief(name, 80)} in {where}",
                hint=f"did you mean {near}?" if near else "`outboxctl config` lists all; unset it",
            )


def _nearest(name: str, known: Collection[str]) -> str | None:
    return next(iter(get_close_matches(name, known, 1)), None)


def _by_kubernetes(name: str, value: str | None) -> bool:
    return bool(LINK.fullmatch(name) or (name.endswith("_PORT") and LINKED_PORT.fullmatch(value or "")))


def _explain(error: ValidationError, flags: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with which value, and the setting's name."""
    first = error.errors(include_url=False)[0]
    location = str(first["loc"][0])
    field = next(f for f in Settings.model_fields if location == f or location in env_names(f))
    where, raw = (f"--{field.replace('_', '-')}", flags[field]) if field in flags else _set_as(field)
    shown = "" if is_secret(field) else f" {brief(repr(raw), 80)}"
    linked = isinstance(raw, str) and LINKED_PORT.fullmatch(raw)
    why = "a Kubernetes service set it; say enableServiceLinks: false" if linked else plain(first["msg"])
    return f"bad setting {where}{shown}: {why}", env_names(field)[0]


def _set_as(field: str) -> tuple[str, str | None]:
    """Where this field's value is set, for people, and the value."""
    values = {name: os.environ.get(name) or dotenv_values().get(name) for name in env_names(field)}
    name = next((name for name, value in values.items() if value), env_names(field)[0])
    if file := files_in_force().get(field):
        return f"{file[0]} ({brief(file[1], 200)})", values[name]
    place = f" in {'the environment' if os.environ.get(name) else '.env'}" if values[name] else ""
    return name + place, values[name]
