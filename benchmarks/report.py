"""The figures, their targets, and how they are shown."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import psutil

from outboxctl.bench.figure import Figure, table
from outboxctl.bench.rig import Rig

HERE = Path(__file__).parent
LIBRARIES = ("outboxctl", "elasticsearch", "psycopg", "SQLAlchemy")
NOTES = """\
- S: the sink's own limit. The very bulk bodies of the worker, from memory, 1,000 documents a request,
  into a fresh index; the best of 1, 2 and 3 sending threads.
- P: claim and settle by the product's lanes with a sink that takes everything at once.
- B = 1/(1/P + 1/S): the bound where worker, PostgreSQL and engine share the cores.
  E/B above 1 means that P or S alone left a core idle, or that others took cores from them.
- E: a real `outboxctl worker --drain` process, from its line "worker started" to its last settle (the
  newest `processed_at`, plus the median duration of a settle in P).
- CPU an event: user and system time of the whole process, or of the server with its children, less the
  median of what the same command takes on an empty table. What a server does later (refresh, merges,
  checkpoint) is not in it.
- Claims are timed from taking a connection to the commit. "Backlog" is P's; "stream" is a table that was
  used, emptied and vacuumed, then written to by another process beside the lanes and a real sink.
- Before each measurement the tables are truncated, vacuumed and filled anew, the index is created anew,
  and PostgreSQL makes a checkpoint. 500,000 documents and one whole repetition beforehand warm up and are
  thrown away.
- "Cores taken by others" is what processes that are no part of this used meanwhile; rates mean little
  unless it is near 0.
- The servers are a PostgreSQL and an Elasticsearch as `outboxctl services up` starts them (fsync on).
"""


def machine(rig: Rig) -> dict[str, str]:
    """What the figures depend on; nothing that names this machine."""
    return surroundings(dict(rig.versions))


def surroundings(servers: dict[str, str]) -> dict[str, str]:
    """The same with these servers and their versions."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "platform": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **servers,
        **{f"{name} (library)": version(name) for name in LIBRARIES},
    }


def write(command: str, given: dict[str, int], on: dict[str, str], figures: Sequence[Figure]) -> str:
    """Write RESULTS.json and the first part of RESULTS.md; returns what is to be printed."""
    raw = {"command": command, "given": given, "machine": on, "figures": [asdict(f) for f in figures]}
    (HERE / "RESULTS.json").write_text(json.dumps(raw, indent=2) + "\n")
    printed = f"{_machine(on)}\n\n{table(figures)}\n"
    title = "# Benchmark results\n\nMade whole by these commands; do not edit.\n"
    text = f"{title}\n```\n{command}\n```\n\n{_events(given)}\n{printed}\n{NOTES}"
    _, sections = _read()
    _join(text, sections)
    return f"{_events(given)}\n{printed}"


def write_section(
    title: str, *, command: str, about: str, on: dict[str, str], figures: Sequence[Figure], notes: str
) -> str:
    """Write a section of RESULTS.md, or write it again, and leave the rest; returns what is to be printed."""
    printed = f"{about}\n\n{_machine(on)}\n\n{table(figures)}\n"
    head, sections = _read()
    _join(head, sections | {title: f"```\n{command}\n```\n\n{printed}\n{notes}"})
    return printed


def _read() -> tuple[str, dict[str, str]]:
    """The first part of RESULTS.md and its sections by title."""
    file = HERE / "RESULTS.md"
    head, *parts = file.read_text().split("\n## ") if file.exists() else [""]
    return head, {title: body.strip() for title, _, body in (part.partition("\n") for part in parts)}


def _join(head: str, sections: dict[str, str]) -> None:
    parts = (f"\n## {title}\n\n{body.strip()}\n" for title, body in sections.items())
    (HERE / "RESULTS.md").write_text(f"{head.strip()}\n{''.join(parts)}")


def _machine(on: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in on.items())


def _events(given: dict[str, int]) -> str:
    size = f"{given['bytes']} bytes of JSON ({given['line']:,} with its line of the bulk request)"
    setting = f"{given['concurrency']} lanes, {given['bulk_size']:,} a batch"
    return f"{given['events']:,} events of {size}, {setting}, {given['repeat']} repetitions.\n"
