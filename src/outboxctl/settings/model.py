"""All settings in one, its secrets from files where they are named."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import AliasChoices, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from outboxctl.domain.errors import UsageError
from outboxctl.settings import secret_files
from outboxctl.settings.worker import WorkerSettings


class Settings(WorkerSettings):
    """All settings, validated. Seconds are floats in seconds; sizes are events."""

    model_config = SettingsConfigDict(defer_build=False)

    # The secrets that came from files: name of the setting and path, by field.
    _files: dict[str, tuple[str, str]] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a folder of them; we name each
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A secret's file has the precedence of the place that names it, after values in that place."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101 - for the type checker
        assert isinstance(dotenv_settings, EnvSettingsSource)  # noqa: S101 - the same
        flags = init_settings.init_kwargs
        return (
            init_settings,
            env_settings,
            SecretFiles(settings_cls, os.environ, flags),
            dotenv_settings,
            SecretFiles(settings_cls, dotenv_settings.env_vars, flags),
        )

    def renewed(self) -> "Settings":
        """These settings with what the files of secrets hold now; unchanged where nothing new can be read."""
        if not self._files:
            return self
        new = {}
        for field, (name, path) in self._files.items():
            with suppress(UsageError):  # the file is being replaced just now
                new[field] = secret_files.read(name, path)
        with suppress(ValidationError):
            fresh = Settings(**({"_env_file": None} | self.model_dump() | new))
            fresh._files = self._files
            return self if fresh.model_dump() == self.model_dump() else fresh
        return self


class SecretFiles(PydanticBaseSettingsSource):
    """What the files hold that one `level` (the environment, `.env`) names; nothing for what a flag sets."""

    def __init__(
        self, settings_cls: type[BaseSettings], level: Mapping[str, str | None], flags: Collection[str]
    ) -> None:
        super().__init__(settings_cls)
        self._level, self._flags = level, flags

    def __call__(self) -> dict[str, Any]:
        """Values by setting."""
        wanted = [name for field, name in secrets() if not {field, name} & set(self._flags)]
        named = secret_files.named(wanted, self._level)
        known = self.current_state  # of the sources that take precedence
        return {name: secret_files.read(where, path) for name, where, path in named if name not in known}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: a call gives all."""
        raise NotImplementedError


def env_names(field: str) -> list[str]:
    """The environment names of a field, the first one canonical."""
    alias = Settings.model_fields[field].validation_alias
    return [str(a) for a in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def is_secret(field: str) -> bool:
    """Whether a field's value may hold a secret."""
    return "SecretStr" in str(Settings.model_fields[field].annotation)


def secrets() -> Iterator[tuple[str, str]]:
    """Each field that may hold a secret, and its name in the environment."""
    return ((field, env_names(field)[0]) for field in Settings.model_fields if is_secret(field))


def all_names() -> set[str]:
    """Every name of a setting, those of secrets' files (NAME_FILE) included."""
    plain = {name for field in Settings.model_fields for name in env_names(field)}
    return plain | {name + secret_files.SUFFIX for _, name in secrets()}
