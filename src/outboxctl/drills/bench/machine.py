"""What figures depend on; nothing that names this machine."""

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
    """The machine, Python, these servers and their versions, and the libraries at work."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "platform": f"{platform.system()} {platform.machine()}",
        **servers,
        "Python": platform.python_version(),
        **{name: version(package) for name, package in LIBRARIES.items()},
    }
