"""Where each value came from."""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic_settings import DotEnvSettingsSource

from outboxctl.settings import dotenv, secret_files
from outboxctl.settings.model import Settings, env_names, is_secret


class Source(StrEnum):
    """Where a value came from."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DOTENV = ".env"
    DEFAULT = "default"


class SettingsSource(NamedTuple):
    """Where a setting is set: under which name, in which place; and the path, if a file holds the value."""

    name: str
    place: Source
    path: str | None = None


def settings_sources(flags: Mapping[str, Any]) -> dict[str, SettingsSource]:
    """Where each field that does not have its default is set: flag, environment, `.env`."""
    levels = ((Source.ENVIRONMENT, os.environ), (Source.DOTENV, dotenv_values()))
    return {field: at for field in Settings.model_fields if (at := _settings_source(field, flags, levels))}


def _settings_source(
    field: str, flags: Mapping[str, Any], levels: tuple[tuple[Source, Mapping[str, str | None]], ...]
) -> SettingsSource | None:
    if flags.get(field) is not None:
        return SettingsSource(f"--{field.replace('_', '-')}", Source.FLAG)
    names = env_names(field)
    for place, level in levels:
        if name := next((name for name in names if level.get(name)), None):
            return SettingsSource(name, place)
        if is_secret(field) and (path := level.get(names[0] + secret_files.SUFFIX)):
            return SettingsSource(names[0] + secret_files.SUFFIX, place, path)
    return None


def sources(**flags: Any) -> dict[str, Source]:
    """Where each field's value comes from."""
    at = settings_sources(flags)
    kinds = {field: Source.FILE if source.path else source.place for field, source in at.items()}
    return {field: kinds.get(field, Source.DEFAULT) for field in Settings.model_fields}


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


def files_in_force() -> dict[str, tuple[str, str]]:
    """Variable and path of each file that holds a secret, by field: the environment before `.env`."""
    return {field: (at.name, at.path) for field, at in settings_sources({}).items() if at.path}


def dotenv_values() -> Mapping[str, str | None]:
    """What `.env` sets, where it is read."""
    return DotEnvSettingsSource(Settings).env_vars if dotenv.usable() else {}
