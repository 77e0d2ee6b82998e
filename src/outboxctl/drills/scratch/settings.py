"""Settings of a run of its own: nothing of the user's environment may change what it shows."""

import os
from typing import Any

from outboxctl.settings import Settings, all_names, env_names
from outboxctl.settings.loading import unknown_names


def fixed(own: dict[str, Any]) -> Settings:
    """Settings that no environment variable and no `.env` of the user's can change.

    `own` are values by field name. Raises pydantic's ValidationError for a bad one.
    """
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()
    }
    return Settings(**({"_env_file": None} | defaults | own))


def environment(own: dict[str, Any]) -> dict[str, str]:
    """Our environment for a child process, with these settings in place of the user's."""
    names = all_names() | set(unknown_names(os.environ, ()))
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    return inherited | {env_names(field)[0]: str(value) for field, value in own.items()}
