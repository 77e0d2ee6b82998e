"""All settings in one."""

from collections.abc import Iterator
from contextlib import suppress

from pydantic import AliasChoices, PrivateAttr, ValidationError
from pydantic_settings import SettingsConfigDict

from outboxctl.domain.errors import UsageError
from outboxctl.settings import secret_files
from outboxctl.settings.worker import WorkerSettings


class Settings(WorkerSettings):
    """All settings, validated. Seconds are floats in seconds; sizes are events."""

    model_config = SettingsConfigDict(defer_build=False)

    # The secrets that came from files: name of the setting and path, by field.
    _files: dict[str, tuple[str, str]] = PrivateAttr(default_factory=dict)

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
