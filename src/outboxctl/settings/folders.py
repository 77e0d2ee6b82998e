"""Where files of this user lie: state that outlives a command, and caches."""

import os
from pathlib import Path

import platformdirs


def state_folder(state: Path | None = None) -> Path:
    """Return the argument, else `OUTBOXCTL_STATE`, else the platform's folder for state."""
    given = state or os.environ.get("OUTBOXCTL_STATE")
    return Path(given).resolve() if given else platformdirs.user_state_path("outboxctl")


def cache_folder() -> Path:
    """Return `OUTBOXCTL_CACHE`, else the platform's folder for caches."""
    given = os.environ.get("OUTBOXCTL_CACHE")
    return Path(given).resolve() if given else platformdirs.user_cache_path("outboxctl")
