"""Every setting: its name in the environment, its default, its bounds, and where its value came from.

Precedence: flag, environment, `.env`, default. The names are the public contract's. A secret may come
from a file wherever a value could: NAME_FILE is its path.

Imports `net` and `domain`.
"""

from outboxctl.settings.connections import MAX_INDEX_BYTES
from outboxctl.settings.kinds import NotifyPolicy, OutagePolicy, SinkProduct
from outboxctl.settings.loading import Settings, load
from outboxctl.settings.sources import (
    Source,
    all_names,
    env_names,
    is_secret,
    secrets,
    variable_of,
)
from outboxctl.settings.worker import DELIVERY_SHARE

__all__ = [
    "DELIVERY_SHARE",
    "MAX_INDEX_BYTES",
    "NotifyPolicy",
    "OutagePolicy",
    "Settings",
    "SinkProduct",
    "Source",
    "all_names",
    "env_names",
    "is_secret",
    "load",
    "secrets",
    "variable_of",
]
