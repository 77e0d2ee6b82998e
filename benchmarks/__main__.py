"""`python -m benchmarks`: measure everything in one run on the same servers; about a quarter of an hour."""

import argparse

from benchmarks import base, picture, report
from benchmarks.profiles import DEFAULT, PROFILES
from benchmarks.servers import ending, say, started
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.rig import Rig
from outboxctl.settings import Settings


def main() -> None:
    given = _arguments()
    with ending(), started(bulk_size=given.bulk_size, concurrency=given.concurrency) as rig:
        base.warm_up(rig, given.base_events, given.bytes)
        for name in given.profiles:
            say(f"--- {name}")
            print(_profile(rig, name, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    default = {name: Settings.model_fields[name].default for name in ("bulk_size", "concurrency")}
    parser.add_argument("--profiles", type=_profiles, default=DEFAULT, help=f"of {', '.join(PROFILES)}")
    parser.add_argument("--events", type=int, default=50_000, help="of each burst of a profile")
    parser.add_argument("--base-events", type=int, default=100_000, help="of the base")
    parser.add_argument("--bytes", type=int, default=600, help="JSON of a document")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--backlog", type=int, default=200_000, help="pending events for the worker's memory")
    parser.add_argument("--done", type=int, default=10_000_000, help="done rows; others in proportion")
    parser.add_argument("--bulk-size", type=int, default=default["bulk_size"])
    parser.add_argument("--concurrency", type=int, default=default["concurrency"])
    return parser.parse_args()


def _profiles(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PROFILES):
        raise argparse.ArgumentTypeError(f"no such profile: {', '.join(sorted(unknown))}")
    return names


def _profile(rig: Rig, name: str, given: argparse.Namespace) -> str:
    """Measure it and write its section at once: what a later one stumbles over costs nothing before it."""
    section = PROFILES[name](rig, given)
    picture.draw(section)
    return report.write_section(
        section.title,
        command=report.command("benchmarks", vars(given) | {"profiles": name}),
        about=section.about,
        on=surroundings(rig.versions),
        figures=section.figures,
        notes=section.notes,
        given=vars(given) | {"profiles": [name]},
    )


if __name__ == "__main__":
    main()
