"""`python -m benchmarks`: measure in one run on the same servers, a section of RESULTS.json a profile.

With minutes: pipeline (8), stream (3), fill (10), latency (5), isolation (30), verify (6), ends (8),
unchanged (5), tenants (20); beside pgsync nested (10). `follow` (10) is all that begin so: what a change of
a followed table costs. Exit 4 where a median has passed its bound.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from benchmarks import (
    both_ends,
    comparing,
    fill,
    follow_fan_out,
    follow_rate,
    follow_writers,
    isolation,
    latency,
    nested,
    pgsync,
    pipeline,
    report,
    stream,
    tenants,
    unchanged,
)
from benchmarks.command import exit_on_error, say, started, write
from benchmarks.figure import BROKEN
from benchmarks.report import Section
from benchmarks.rig import Rig
from outboxctl.domain.errors import ExitCode
from outboxctl.settings import Settings

TUNING = {name: int(Settings.model_fields[name].default) for name in ("bulk_size", "concurrency")}
PGSYNC = {"pgsync": "pgsync", "redis": "redis-server"}


class Profile(NamedTuple):
    """What measures, and its options."""

    run: Callable[[Rig, Namespace], Section]
    options: dict[str, Any]


PROFILES = {
    "pipeline": Profile(pipeline.run, {"events": 100_000, "bytes": 600, "backlog": 200_000, "repeat": 5}),
    "stream": Profile(stream.run, {"events": 50_000, "bytes": 600, "repeat": 5}),
    "fill": Profile(fill.run, {"rows": 1_000_000, "bytes": 600, "repeat": 3}),
    "latency": Profile(latency.run, {"rates": "1,50,500,5000", "seconds": 20.0, "repeat": 1}),
    "isolation": Profile(
        isolation.run,
        {"backlog": 1_000_000, "faults": isolation.FAULTS, "policies": "unset,hold,count"}
        | {"seconds": 20.0, "repeat": 1},
    ),
    "verify": Profile(comparing.run, {"entities": 1_000_000, "bytes": 600, "repeat": 3}),
    "ends": Profile(both_ends.run, {"documents": 100_000, "repeat": 3}),
    "unchanged": Profile(unchanged.run, {"documents": 100_000, "repeat": 3}),
    "tenants": Profile(tenants.run, {"schemas": 500, "seconds": 20.0, "repeat": 1}),
    "nested": Profile(
        nested.run, {"parents": 40_000, "updates": 40_000, "transactions": 1_000, "repeat": 3} | PGSYNC
    ),
    "follow-rate": Profile(follow_rate.run, {"changes": 20_000, "waiting": 200_000, "repeat": 3}),
    "follow-writers": Profile(
        follow_writers.run, {"writes": 10_000, "large": 2_000, "single": 1_000, "cpu": 5_000, "repeat": 5}
    ),
    "follow-fan-out": Profile(follow_fan_out.run, {"documents": 1_000_000, "repeat": 1}),
}
USUAL = ["pipeline", "stream"]
GROUPS = {"follow": [name for name in PROFILES if name.startswith("follow-")]}


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--profiles", type=_profiles, default=USUAL, help=f"of {', '.join([*GROUPS, *PROFILES])}"
    )
    defaults: dict[str, Any] = {n: v for profile in PROFILES.values() for n, v in profile.options.items()}
    for name, value in (defaults | TUNING).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value))
    flags = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    names = flags.pop("profiles")
    tuning = {name: flags.get(name, TUNING[name]) for name in TUNING}
    given = {name: _given(PROFILES[name], flags) for name in names}
    # pgsync is looked for before the servers start
    before = [partial(pgsync.prepare, Namespace(**given[n])) for n in names if n == "nested"]
    with exit_on_error(), started(*before, **tuning) as rig:
        broken = []
        for name in names:  # each section is written at once: an error in a later profile loses nothing
            say(f"--- {name}")
            section = PROFILES[name].run(rig, Namespace(**given[name]))
            write(section, {"profiles": name} | given[name], rig.versions)
            broken += report.broken(section)
    if broken:
        print(f"{BROKEN}: {', '.join(broken)}", file=sys.stderr)
        sys.exit(ExitCode.FINDINGS)


def _given(profile: Profile, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a profile, by its defaults and the flags."""
    return {key: flags.get(key, default) for key, default in (profile.options | TUNING).items()}


def _profiles(text: str) -> list[str]:
    names = [name for each in text.split(",") for name in GROUPS.get(each, [each])]
    if unknown := set(names) - set(PROFILES):
        raise ArgumentTypeError(f"no such profile: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
