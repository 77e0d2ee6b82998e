"""`python -m benchmarks`: measure in one run on the same servers; about a quarter of an hour.

Others, with minutes: beside (a fill; 8), desk (the operator's; 30), fill (10), latency (5),
memory (25), migrations (1), nested (15), partitions (5), peers (10), projections (4), scale (8), tracing (2),
verify (6). `follow` (12) is all that begin so: what a change of a followed table costs.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks import (
    base,
    comparing,
    desk,
    fill,
    follow_beside,
    follow_fan_out,
    follow_peers,
    follow_rate,
    follow_stream,
    follow_writers,
    latency,
    nested,
    operations,
    peers,
    pgsync,
    projections,
    scale,
    schema,
    shapes,
    stream,
    workers,
)
from benchmarks.command import exit_on_error, say, started, write
from benchmarks.report import Section
from outboxctl.drills.bench.rig import Rig
from outboxctl.settings import Settings

TUNING = {name: int(Settings.model_fields[name].default) for name in ("bulk_size", "concurrency")}
BURSTS = {"events": 50_000, "bytes": 600, "repeat": 5}
USUAL: dict[str, tuple[Callable[[Rig, Namespace], Section], dict[str, Any]]] = {
    "base": (base.run, BURSTS | {"base_events": 100_000, "backlog": 200_000}),
    "operations": (operations.run, BURSTS),
    "reclaimed": (operations.reclaimed, BURSTS),
    "shapes": (shapes.run, BURSTS | {"done": 10_000_000}),
    "stream": (stream.run, BURSTS),
    "workers": (workers.run, BURSTS),
}
PGSYNC = {"pgsync": "pgsync", "redis": "redis-server"}
FOLLOW: dict[str, tuple[Callable[[Rig, Namespace], Section], dict[str, Any]]] = {
    "follow-rate": (follow_rate.run, {"changes": 20_000, "waiting": 200_000, "repeat": 3}),
    "follow-stream": (follow_stream.run, {"seconds": 60.0, "repeat": 1}),
    "follow-beside": (follow_beside.run, {"waiting": 100_000, "seconds": 25.0, "repeat": 1}),
    "follow-writers": (
        follow_writers.run,
        {"writes": 10_000, "large": 2_000, "single": 1_000, "cpu": 5_000, "repeat": 5},
    ),
    "follow-fan-out": (follow_fan_out.run, {"documents": 1_000_000, "repeat": 1}),
    "follow-peers": (follow_peers.run, {"parents": 10_000, "repeat": 2} | PGSYNC),
}
# So little of everything that each is over in seconds: whether they run, not what they measure.
QUICK: dict[str, dict[str, Any]] = {
    "follow-rate": {"changes": 100, "waiting": 200, "repeat": 1},
    "follow-stream": {"seconds": 1.0, "repeat": 1},
    "follow-beside": {"waiting": 200, "seconds": 1.0, "repeat": 1},
    "follow-writers": {"writes": 200, "large": 10, "single": 20, "cpu": 20, "repeat": 1},
    "follow-fan-out": {"documents": 3_000, "repeat": 1},
    "follow-peers": {"parents": 100, "repeat": 1},
}
GROUPS = {"follow": [*FOLLOW]}
PROFILES = (
    USUAL
    | FOLLOW
    | {
        "desk": (desk.run, {"events": 50_000, "done": 10_000_000, "failed": 100_000, "repeat": 5}),
        "beside": (fill.beside, {"rows": 300_000, "bytes": 600, "rates": "500,5000", "repeat": 3}),
        "fill": (fill.run, {"rows": 1_000_000, "bytes": 600, "parents": 50_000, "repeat": 3}),
        "latency": (latency.run, {"rates": "1,50,500,5000", "seconds": 20.0, "repeat": 1}),
        "memory": (stream.memory, {"events": 1_000_000, "minutes": 10.0}),
        "migrations": (schema.migrations, {"rows": 1_000_000, "repeat": 3}),
        "nested": (nested.run, {"parents": 20_000, "repeat": 3} | PGSYNC),
        "partitions": (schema.partitions, {"events": 50_000, "done": 2_000_000, "repeat": 5}),
        "peers": (peers.run, {"rows": 300_000, "bytes": 600, "repeat": 3} | PGSYNC),
        "projections": (projections.run, {"events": 100_000, "bytes": 600, "writes": 50_000, "repeat": 3}),
        "scale": (scale.run, {"events": 40_000, "bytes": 600, "repeat": 3}),
        "tracing": (workers.tracing, {"events": 20_000, "repeat": 7}),
        "verify": (comparing.run, {"entities": 1_000_000, "bytes": 600, "repeat": 3}),
    }
)

# Before the servers start.
PREPARED: dict[str, Callable[[Namespace], None]] = dict.fromkeys(
    ("follow-peers", "nested", "peers"), pgsync.prepare
)


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--profiles", type=_profiles, default=[*USUAL], help=f"of {', '.join([*GROUPS, *PROFILES])}"
    )
    parser.add_argument("--quick", action="store_true", help="of follow: a little of each, not written")
    for name in {name: None for _, options in PROFILES.values() for name in options | TUNING}:
        defaults = {profile: options[name] for profile, (_, options) in PROFILES.items() if name in options}
        defaults = defaults or {"all": TUNING[name]}
        help_ = "; ".join(f"{profile}: {default}" for profile, default in defaults.items())
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(min(defaults.values())), help=help_)
    flags = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    names, tuning = flags.pop("profiles"), {name: flags.get(name, TUNING[name]) for name in TUNING}
    quick = flags.pop("quick")
    given = {name: _given(name, (QUICK.get(name, {}) if quick else {}) | flags) for name in names}
    before = [partial(PREPARED[name], Namespace(**given[name])) for name in names if name in PREPARED]
    with exit_on_error(), started(*before, **tuning) as rig:
        if set(names) & set(USUAL):
            base.warm_up(rig, flags.get("base_events", 100_000), flags.get("bytes", 600))
        for name in names:  # each section is written at once: an error in a later profile loses nothing
            say(f"--- {name}")
            section = PROFILES[name][0](rig, Namespace(**given[name]))
            write(section, "benchmarks", {"profiles": name} | given[name], rig.versions, keep=not quick)


def _given(name: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a profile, by its defaults and the flags."""
    return {key: flags.get(key, default) for key, default in (PROFILES[name][1] | TUNING).items()}


def _profiles(text: str) -> list[str]:
    names = [name for each in text.split(",") for name in GROUPS.get(each, [each])]
    if unknown := set(names) - set(PROFILES):
        raise ArgumentTypeError(f"no such profile: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
