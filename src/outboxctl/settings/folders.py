"""Where files of this user lie: state that outlives a command, and caches."""

import os
from pathlib import Path

import platformdirs

from outboxctl.settings.foreign import refuse_foreign


def state_folder(state: Path | None = None) -> Path:
    """Return the argument, else `OUTBOXCTL_STATE`, else the platform's folder for state.

    UsageError for root where another user can change it: what is recorded there is ended and deleted.
    """
    folder = state or os.environ.get("OUTBOXCTL_STATE")
    return refuse_foreign(Path(folder).resolve() if folder else platformdirs.user_state_path("outboxctl"))


def cache_folder() -> Path:
    """Return `OUTBOXCTL_CACHE`, else the platform's folder for caches."""
    given = os.environ.get("OUTBOXCTL_CACHE")
    return Path(given).resolve() if given else platformdirs.user_cache_path("outboxctl")
