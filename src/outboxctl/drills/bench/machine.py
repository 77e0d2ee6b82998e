"""The machine and the versions that figures depend on; nothing that identifies this machine."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version

import psutil

LIBRARIES = {
    "outboxctl": "outboxctl",
    "elasticsearch-py": "elasticsearch",
    "psycopg": "psycopg",
    "SQLAlchemy": "SQLAlchemy",
}


def surroundings(servers: Mapping[str, str]) -> dict[str, str]:
    """Cores, memory, platform, the versions of these servers, of Python and of the libraries, by name."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "platform": f"{platform.system()} {platform.machine()}",
        **servers,
        "Python": platform.python_version(),
        **{name: version(package) for name, package in LIBRARIES.items()},
    }
