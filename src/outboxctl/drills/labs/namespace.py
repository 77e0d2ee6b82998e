"""What a place gives to one lab."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from outboxctl.settings import Settings


@dataclass(frozen=True)
class Namespace:
    """What one lab gets: tables and an index of its own, and its settings.

    `elastic_url` is the sink itself, without a proxy. `home` is the working folder of its workers.
    `own` is the state folder of services that are this lab's alone, None where it shares them. `shown`
    are the settings that are not the defaults, without the ends: they may hold secrets. `overrides`
    stand over whatever a lab sets.
    """

    settings: Settings
    elastic_url: str
    home: Path
    base: Mapping[str, str]
    shown: Mapping[str, str]
    own: Path | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a worker of this lab."""
        return {**self.base, **more, **self.overrides}
