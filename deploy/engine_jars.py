"""Write the lists of jars that `drills/services/maven.py` compares with: `make engine-jars`.

Everything is downloaded anew into a local repository of its own, so that each jar has been compared with
the checksum of the repository, and no list is made of what a machine happened to keep.
"""

import sys
import tempfile
from pathlib import Path

from outboxctl.drills.services import maven
from outboxctl.drills.services.engines import RELEASES


def main() -> None:
    """Write the list of each release, and print its size, which `RELEASES` has."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, engine in RELEASES.items():
            jars = Path(folder) / kind
            maven.fetch(engine, jars, f"-Dmaven.repo.local={folder}/repository")
            maven.pin_file(engine).write_text("".join(maven.pin_lines(jars.glob("*.jar"))))
            megabytes = sum(jar.stat().st_size for jar in jars.glob("*.jar")) / 1_000_000
            sys.stdout.write(f"{engine.title}: megabytes={megabytes:.0f} in RELEASES\n")


if __name__ == "__main__":
    main()
