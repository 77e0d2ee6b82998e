"""Where each value came from."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic_settings import DotEnvSettingsSource

from outboxctl.settings import secret_files
from outboxctl.settings.model import Settings, env_names, secrets

SECRETS = {field for field, _ in secrets()}


class Source(StrEnum):
    """Where a value came from."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DOTENV = ".env"
    DEFAULT = "default"


@dataclass(frozen=True)
class SettingsSource:
    """Where a setting was given: under which name, whether in `.env`; and the path, if a file holds it."""

    name: str
    where: str
    dotenv: bool = False
    path: str | None = None

    def __str__(self) -> str:
        if self.dotenv and self.callers:
            return f"the file outside this folder that {self.name}{self.where} names"
        return self.name + self.where

    @property
    def callers(self) -> bool:
        """Whether the value is the caller's: `.env` may name a file that lies elsewhere, by a link, too."""
        here = Path.cwd().resolve()
        return not self.dotenv or bool(self.path and not Path(self.path).resolve().is_relative_to(here))


def places(flags: Mapping[str, Any]) -> dict[str, SettingsSource]:
    """Where each field's value was given, but for defaults."""
    dotenv = dotenv_values()
    return {field: at for field in Settings.model_fields if (at := _place(field, flags, dotenv))}


def _place(field: str, flags: Mapping[str, Any], dotenv: Mapping[str, str | None]) -> SettingsSource | None:
    if flags.get(field) is not None:
        return SettingsSource(f"--{field.replace('_', '-')}", "")
    names = env_names(field)
    levels: list[tuple[Mapping[str, str | None], str]] = [(os.environ, " in the environment")]
    for level, where in [*levels, (dotenv, " in .env")]:
        if name := next((name for name in names if level.get(name)), None):
            return SettingsSource(name, where, level is dotenv)
        if field in SECRETS and (path := level.get(names[0] + secret_files.SUFFIX)):
            return SettingsSource(names[0] + secret_files.SUFFIX, where, level is dotenv, path)
    return None


def sources(**flags: Any) -> dict[str, Source]:
    """Where each field's value comes from."""
    files, dotenv = files_in_force(), dotenv_values()
    return {name: _source(name, flags, files, dotenv) for name in Settings.model_fields}


def secret_file(field: str) -> str | None:
    """The path of the file that holds this field's secret, where neither a flag nor a value does."""
    return files_in_force().get(field, (None, None))[1]


def variable_of(field: str, value: str) -> str:
    """The variable that holds this value: an alias with the name that it stands for, and `.env`.

    `WORDLOOM_ENV (for OUTBOX_ENV) in .env`; the first name where none holds it.
    """
    first = env_names(field)[0]
    for level, where in ((os.environ, ""), (dotenv_values(), " in .env")):
        for name in env_names(field):
            if level.get(name) == value:
                return (name if name == first else f"{name} (for {first})") + where
    return first


def _source(
    field: str, flags: Mapping[str, Any], files: Collection[str], dotenv: Mapping[str, str | None]
) -> Source:
    if flags.get(field) is not None:
        return Source.FLAG
    if field in files:
        return Source.FILE
    if any(os.environ.get(name) for name in env_names(field)):
        return Source.ENVIRONMENT
    return Source.DOTENV if any(dotenv.get(name) for name in env_names(field)) else Source.DEFAULT


def files_in_force() -> dict[str, tuple[str, str]]:
    """Name and path of each file that is in force, by field: the environment before `.env`."""
    levels, suffix = (os.environ, dotenv_values()), secret_files.SUFFIX
    found = {}
    for field, name in secrets():
        first = next((level for level in levels if level.get(name) or level.get(name + suffix)), {})
        if path := first.get(name + suffix):
            found[field] = (name + suffix, path)
    return found


def dotenv_values() -> Mapping[str, str | None]:
    """What `.env` says."""
    return DotEnvSettingsSource(Settings).env_vars
