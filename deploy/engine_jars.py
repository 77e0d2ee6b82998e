"""Print what `RELEASES` in `drills/services/engines.py` says of the jars of each release: `make engine-jars`.

Everything is downloaded anew into a local repository of its own, so that each jar has been compared with
the checksum of the repository, and nothing is pinned that a machine happened to keep.
"""

import sys
import tempfile
from pathlib import Path

from outboxctl.drills.services import engines
from outboxctl.drills.services.engines import RELEASES


def main() -> None:
    """Print the number of jars of each release, their size and their digest."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, engine in RELEASES.items():
            home = Path(folder) / kind
            engines.fetch(engine, home, f"-Dmaven.repo.local={folder}/repository")
            jars, digest = engines.digest_of(engine, home)
            megabytes = sum(jar.stat().st_size for jar in home.glob("*.jar")) / 1_000_000
            sys.stdout.write(f'{engine.title}: {jars=}, megabytes={megabytes:.0f}, sha256="{digest}"\n')


if __name__ == "__main__":
    main()
