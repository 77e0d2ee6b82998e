"""`python -m benchmarks.peers`: what others do with the same rows on the same servers; about five minutes.

Needs the network once, to install pgsync apart, and `redis-server`; without them the rest is measured.
"""

import argparse
import subprocess
from contextlib import ExitStack

import psycopg

from benchmarks import report
from benchmarks.peers import helpers, naive, one_by_one, own, redis
from benchmarks.peers.measured import Measured
from benchmarks.peers.notes import NOTES
from benchmarks.peers.pgsync import Pgsync
from benchmarks.peers.pgsync_setup import SETTINGS, VERSION, install
from benchmarks.servers import STATE, ending, say, started
from outboxctl.drills import services
from outboxctl.drills.bench import sink
from outboxctl.drills.bench.machine import surroundings
from outboxctl.drills.bench.neighbours import Neighbours
from outboxctl.drills.bench.rig import Rig
from outboxctl.net.urls import check_database_url

TITLE = "Peers"
FEWER = {naive: 2, one_by_one: 25}  # so many times fewer events for the slow ones, or it takes minutes


def main() -> None:
    given = _arguments()
    with ending(), started(_prepare) as rig:
        print(_benchmark(rig, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--bytes", type=int, default=600, help="JSON of a document")
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def _prepare() -> None:
    """What pgsync needs of the server, before it starts for all: a log to decode, and leave to read it."""
    postgres = services.start_postgres(STATE, fresh=True)
    with psycopg.connect(check_database_url(postgres.admin_url), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_level = 'logical'")
        connection.execute("ALTER ROLE wordloom REPLICATION")
    services.stop("postgres", STATE)


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    size = sink.text_of(rig, given.bytes)
    requests = sink.bodies(rig, given.events, size)
    actions = helpers.actions(rig)
    into = Measured()
    with ExitStack() as stack:
        queue = _queue(rig, into, stack)
        say("warm-up")
        sink.warm_up(rig, requests, given.events)
        neighbours = Neighbours(rig)
        for number in range(1, given.repeat + 1):
            say(f"repetition {number} of {given.repeat}")
            _own(rig, given.events, size, into)
            if queue:
                _peer(rig, queue, given.events, size, into)
            into.s.append(max(sink.limit(rig, requests, given.events).values()))
            for name, rate in helpers.rates(rig, actions).items():
                into.helpers[name].append(rate)
            into.others.append(neighbours.cores())
    return _written(rig, given, into)


def _queue(rig: Rig, into: Measured, stack: ExitStack) -> tuple[int, int] | None:
    """pgsync installed and a Redis for it; None, and a word in the report, where one cannot be had."""
    try:
        server = stack.enter_context(redis.running(rig.folder))
        say(f"pgsync {VERSION} into an environment of its own")
        install()
    except (FileNotFoundError, subprocess.SubprocessError) as error:
        into.missing.append(f"pgsync: not measured: {error}")
        say(into.missing[-1])
        return None
    return server


def _own(rig: Rig, events: int, size: int, into: Measured) -> None:
    into.burst.append(own.burst(rig, events, size))
    say(f"outboxctl {into.burst[-1].whole:,.0f}/s from exec to exit, {into.burst[-1].lanes:,.0f}/s running")
    into.stream.append(own.stream(rig, size))
    say(f"outboxctl {into.stream[-1].rate:,.0f} updates/s, lag {into.stream[-1].lag:.2f} s")
    into.naive.append(own.by_hand(rig, naive, events // FEWER[naive], size))
    into.one_by_one.append(own.by_hand(rig, one_by_one, events // FEWER[one_by_one], size))
    say(f"naive worker {into.naive[-1]:,.0f}/s, one by one {into.one_by_one[-1]:,.0f}/s")


def _peer(rig: Rig, queue: tuple[int, int], events: int, size: int, into: Measured) -> None:
    pgsync = Pgsync(rig, queue, SETTINGS)
    first, stream = pgsync.measure(events, size)
    into.first.append(first)
    into.daemon.append(stream)
    say(f"pgsync {first.whole:,.0f}/s from exec, {stream.rate:,.0f} updates/s, lag {stream.lag:.2f} s")
    into.wal.append(pgsync.measure_wal(size))
    say(f"pgsync --wal {into.wal[-1].rate:,.0f} updates/s, lag {into.wal[-1].lag:.2f} s")
    into.as_it_comes.append(Pgsync(rig, queue, {}).first_sync(events, size))
    say(f"pgsync as it comes {into.as_it_comes[-1].whole:,.0f}/s from exec")


def _written(rig: Rig, given: argparse.Namespace, into: Measured) -> str:
    command = report.command("benchmarks.peers", vars(given))
    s = rig.settings
    about = (
        f"{given.events:,} rows of {given.bytes} bytes of JSON, {given.repeat} repetitions, in turns;"
        f" outboxctl with {s.concurrency} lanes and {s.bulk_size:,} a batch; pgsync {VERSION}."
    )
    notes = NOTES + "".join(f"- {missing}\n" for missing in into.missing)
    on = surroundings(rig.versions) | {"wal_level": "logical"}
    return report.write_section(
        TITLE, command=command, about=about, on=on, figures=into.figures(), notes=notes
    )


if __name__ == "__main__":
    main()
