"""Reading all settings: secrets hidden first, unknown names refused, one line for what is wrong."""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from pydantic import PrivateAttr, ValidationError

from outboxctl.domain import redaction
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief, plain
from outboxctl.settings.sources import (
    SUFFIX,
    Levels,
    Origin,
    Source,
    all_names,
    env_names,
    is_secret,
    levels,
    origins,
    read_file,
    secrets,
)
from outboxctl.settings.worker import WorkerSettings

PREFIX = "OUTBOX_"
# What Kubernetes sets for a service of the pod's namespace (`outbox`, `outbox-metrics`):
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
LINK = re.compile(r"OUTBOX_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
LINKED_PORT = re.compile(r"(tcp|udp|sctp)://\S+")
PLACES = {Source.ENVIRONMENT: "the environment", Source.DOTENV: ".env"}
# No settings of ours: libpq and botocore read them from the environment by themselves.
FOREIGN_SECRETS = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Settings(WorkerSettings):
    """All settings, validated. Seconds are floats in seconds; sizes are events."""

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)  # of what does not have its default

    def origin(self, field: str) -> Origin:
        """Where a field's value comes from."""
        return self._origins.get(field) or Origin(env_names(field)[0], Source.DEFAULT, None)

    def renewed(self) -> "Settings":
        """These settings with what the files of secrets hold now; unchanged where nothing new can be read."""
        new = dict[str, str]()
        for field, origin in self._origins.items():
            with suppress(UsageError):  # the file is being replaced just now
                new |= {field: read_file(origin)} if origin.path else {}
        with suppress(ValidationError):
            fresh = Settings(**(self.model_dump(include={*self.model_fields_set, "worker_id"}) | new))
            fresh._origins = self._origins
            return self if fresh.model_dump() == self.model_dump() else fresh
        return self


def load(**flags: Any) -> Settings:
    """Read all settings; a flag that is None was not given. UsageError names a bad or misspelt one."""
    options = {name: value for name, value in flags.items() if value is not None}
    try:
        known = levels()
        register_secrets(options, known)
        _refuse(options, known)
        at = origins(options, known)
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f".env cannot be read: {type(error).__name__}") from None
    values: dict[str, Any] = {
        field: read_file(origin) if origin.path else origin.value for field, origin in at.items()
    }
    try:
        settings = Settings(**values)
    except ValidationError as error:
        message, name = _explain(error, at)
        raise UsageError(message, hint=f"`outboxctl explain {name}`") from None
    settings._origins = at
    return settings


def register_secrets(flags: Mapping[str, Any], known: Levels) -> None:
    """Register for redaction every secret of flags, environment and `.env`; of a file when it is read."""
    for level in known.values():
        for name in [*(name for _, name in secrets()), *FOREIGN_SECRETS]:
            redaction.add_setting(name, level.get(name) or "")
    for field, name in secrets():
        redaction.add_setting(name, str(flags.get(field) or ""))


def unknown_names(level: Mapping[str, str | None], known: Collection[str]) -> list[str]:
    """Names with our prefix that are no settings, sorted."""
    names = (name for name in level if name.startswith(PREFIX) and name not in known)
    return sorted(name for name in names if not _by_kubernetes(name, level[name]))


def _refuse(flags: Mapping[str, Any], known: Levels) -> None:
    """UsageError for an unknown name, and where one place has both a value and a file for a setting."""
    names = all_names()
    for place, level in known.items():
        for name in unknown_names(level, names):
            near = next(iter(get_close_matches(name, names, 1)), None)
            hint = f"did you mean {near}?" if near else "`outboxctl config` lists all; unset it"
            raise UsageError(f"unknown setting {brief(name, 80)} in {PLACES[place]}", hint=hint)
        for field, name in secrets():
            if field not in flags and level.get(name) and level.get(name + SUFFIX):
                raise UsageError(f"both {name} and {name}{SUFFIX} are set", hint="unset one of them")


def _by_kubernetes(name: str, value: str | None) -> bool:
    return bool(LINK.fullmatch(name) or (name.endswith("_PORT") and LINKED_PORT.fullmatch(value or "")))


def _explain(error: ValidationError, at: Mapping[str, Origin]) -> tuple[str, str]:
    """What is wrong with which value, and the setting's name."""
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0])
    origin = at[field]
    place = f" in {PLACES[origin.place]}" if origin.place in PLACES else ""
    where = origin.name + (f" ({brief(origin.path, 200)})" if origin.path else place)
    shown = "" if is_secret(field) else f" {brief(repr(origin.value), 80)}"
    linked = isinstance(origin.value, str) and LINKED_PORT.fullmatch(origin.value)
    why = "a Kubernetes service set it; say enableServiceLinks: false" if linked else plain(first["msg"])
    return f"bad setting {where}{shown}: {why}", env_names(field)[0]
