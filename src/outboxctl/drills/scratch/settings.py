"""Settings of a run of its own: nothing of the user's environment may change what it shows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from outboxctl.settings import Settings, all_names, env_names
from outboxctl.settings.loading import unknown_names


def fixed(own: dict[str, Any]) -> Settings:
    """Settings by field name that no environment variable and no `.env` can change. ValidationError."""
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()
    }
    return Settings(**(defaults | own))


def environment(own: dict[str, Any]) -> dict[str, str]:
    """Our environment for a child process, with these settings in place of the user's."""
    names = all_names() | set(unknown_names(os.environ, ()))
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return inherited | {env_names(field)[0]: str(value) for field, value in own.items()}


@dataclass(frozen=True)
class Namespace:
    """Tables and an index of one lab, and its settings.

    `ends` are DATABASE_URL, ELASTIC_URL (the sink itself, without a proxy), ELASTIC_INDEX and credentials.
    `home` is the working folder of its workers. `shown` are the settings that are not the defaults, without
    `ends`: these may hold secrets. `overrides` replace whatever a lab sets.
    """

    ends: Mapping[str, str]
    shown: Mapping[str, str]
    overrides: Mapping[str, str]
    home: Path

    @cached_property
    def settings(self) -> Settings:
        """Those of the lab itself."""
        return fixed(by_field({**self.shown, **self.ends}))

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a worker of this lab."""
        return {**environment({}), **self.shown, **self.ends, **more, **self.overrides}


def by_field(values: Mapping[str, str]) -> dict[str, str]:
    """Settings by field name, from environment variables; those that are no settings are left out."""
    fields = {name: field for field in Settings.model_fields for name in env_names(field)}
    return {fields[name]: value for name, value in values.items() if name in fields}
