"""`python -m benchmarks`: measure all profiles in one run on the same servers; about a quarter of an hour."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable

from benchmarks import base, documents, operations, reclaimed, report, shapes, stream, workers
from benchmarks.command import arguments
from benchmarks.report import Section
from benchmarks.servers import exit_on_error, say, started
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.rig import Rig
from outboxctl.settings import Settings

PROFILES: dict[str, Callable[[Rig, Namespace], Section]] = {
    "base": base.run,
    "documents": documents.run,
    "operations": operations.run,
    "reclaimed": reclaimed.run,
    "shapes": shapes.run,
    "stream": stream.run,
    "workers": workers.run,
    "matrix": workers.matrix,
}
DEFAULT = [name for name in PROFILES if name != "matrix"]
OPTIONS = {
    "events": (50_000, "of each burst of a profile"),
    "base-events": (100_000, "of the base"),
    "bytes": (600, "JSON of a document"),
    "repeat": (5, ""),
    "backlog": (200_000, "pending events for the worker's memory"),
    "done": (10_000_000, "done rows; others in proportion"),
    "bulk-size": (int(Settings.model_fields["bulk_size"].default), ""),
    "concurrency": (int(Settings.model_fields["concurrency"].default), ""),
}


def main() -> None:
    parser = arguments("benchmarks", __doc__, OPTIONS)
    parser.add_argument("--profiles", type=_profiles, default=DEFAULT, help=f"of {', '.join(PROFILES)}")
    args = parser.parse_args()
    with exit_on_error(), started(bulk_size=args.bulk_size, concurrency=args.concurrency) as rig:
        base.warm_up(rig, args.base_events, args.bytes)
        for name in args.profiles:
            say(f"--- {name}")
            print(_profile(rig, name, args))


def _profiles(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PROFILES):
        raise ArgumentTypeError(f"no such profile: {', '.join(sorted(unknown))}")
    return names


def _profile(rig: Rig, name: str, args: Namespace) -> str:
    """Measure a profile and write its section at once: an error in a later one loses nothing."""
    section = PROFILES[name](rig, args)
    command = report.command("benchmarks", vars(args) | {"profiles": name})
    on = surroundings(rig.versions)
    return report.write_section(section, command=command, on=on, flags=vars(args) | {"profiles": [name]})


if __name__ == "__main__":
    main()
