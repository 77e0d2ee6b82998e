"""Tables and an index of one lab, and its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from outboxctl.drills.scratch.settings import environment, fixed
from outboxctl.settings import Settings, env_names


@dataclass(frozen=True)
class Namespace:
    """Tables and an index of one lab, and its settings.

    `elastic_url` is the sink itself, without a proxy. `home` is the working folder of its workers. `own` is
    the state folder of a search engine that is this lab's alone, None where it shares one. `shown` are the
    settings that are not the defaults, without the URLs: they may hold secrets. `overrides` replace whatever
    a lab sets.
    """

    settings: Settings
    elastic_url: str
    home: Path
    base: Mapping[str, str]
    shown: Mapping[str, str]
    own: Path | None
    overrides: Mapping[str, str]

    @classmethod
    def at(
        cls,
        ends: Mapping[str, str],
        own_settings: Mapping[str, str],
        overrides: Mapping[str, str],
        *,
        home: Path,
        own: Path | None = None,
    ) -> "Namespace":
        """The namespace at these ends: DATABASE_URL, ELASTIC_URL, ELASTIC_INDEX and credentials."""
        shown = {**own_settings, **overrides}
        values = {**shown, **ends}
        base = environment({}) | values
        return cls(fixed(by_field(values)), ends["ELASTIC_URL"], home, base, shown, own, overrides)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a worker of this lab."""
        return {**self.base, **more, **self.overrides}


def by_field(values: Mapping[str, str]) -> dict[str, str]:
    """Settings by field name, from environment variables; those that are no settings are left out."""
    fields = {name: field for field in Settings.model_fields for name in env_names(field)}
    return {fields[name]: value for name, value in values.items() if name in fields}
