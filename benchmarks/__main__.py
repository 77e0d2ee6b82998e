"""`python -m benchmarks`: measure everything in one run on the same servers; about three minutes."""

import argparse
import signal
import sys

from benchmarks import report
from benchmarks.figures import Measured
from benchmarks.servers import say, started
from outboxctl.bench import fill, pipeline, process, sink, start, store
from outboxctl.bench.neighbours import Neighbours
from outboxctl.bench.rig import Rig
from outboxctl.errors import OutboxctlError
from outboxctl.settings import Settings

STREAM_COMMIT = 100
HELP_RUNS = 7
START_RUNS = 7


def main() -> None:
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers are ended all the same
    try:
        with started(bulk_size=given.bulk_size, concurrency=given.concurrency) as rig:
            print(_benchmark(rig, given))
    except OutboxctlError as error:
        print(f"benchmarks: {error}\n  {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    default = {name: Settings.model_fields[name].default for name in ("bulk_size", "concurrency")}
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--bytes", type=int, default=600, help="JSON of a document")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--backlog", type=int, default=200_000, help="pending events for the worker's memory")
    parser.add_argument("--bulk-size", type=int, default=default["bulk_size"])
    parser.add_argument("--concurrency", type=int, default=default["concurrency"])
    return parser.parse_args()


def _benchmark(rig: Rig, given: argparse.Namespace) -> str:
    text = sink.text_of(rig, given.bytes)
    requests = sink.bodies(rig, given.events, text)
    say("warm-up")
    sink.warm_up(rig, requests, given.events)
    _repeat(rig, given, text, requests, Measured(given.events))
    measured, neighbours = Measured(given.events), Neighbours(rig)
    for number in range(1, given.repeat + 1):
        say(f"repetition {number} of {given.repeat}")
        _repeat(rig, given, text, requests, measured)
        measured.others.append(neighbours.cores())
    _once(rig, given, text, measured)
    sizes = {"line": sum(map(len, requests)) // given.events}
    return report.write(_command(given), vars(given) | sizes, report.machine(rig), measured.figures())


def _repeat(rig: Rig, given: argparse.Namespace, text: int, requests: list[bytes], into: Measured) -> None:
    rates = sink.limit(rig, requests, given.events)
    say("S " + ", ".join(f"{rate:,.0f}/s with {senders}" for senders, rate in rates.items()))
    into.s.append(max(rates.values()))
    drained = store.drain(rig, given.events, text)
    say(f"P {drained.rate:,.0f}/s, longest claim {drained.longest_claim:.0f} ms")
    into.p.append(drained)
    into.e.append(pipeline.drain(rig, given.events, text, settle_ms=drained.median_settle))
    say(f"E {into.e[-1].rate:,.0f}/s, {into.ratio[-1]:.2f} of the bound")


def _once(rig: Rig, given: argparse.Namespace, text: int, into: Measured) -> None:
    say(f"a worker with {given.backlog:,} pending events")
    fill.pending(rig, given.backlog, text)
    into.backlog_rss.append(process.drain(rig).rss)
    say("claims beside a writer, on a table that was emptied and vacuumed")
    into.stream.append(store.stream(rig, given.events, text, STREAM_COMMIT))
    into.help.extend(process.help_ms(HELP_RUNS))
    say("workers from their start to their first claim")
    into.first_claim.extend(start.first_claim_ms(rig, START_RUNS))


def _command(given: argparse.Namespace) -> str:
    flags = (f"--{name.replace('_', '-')} {value}" for name, value in vars(given).items())
    return " ".join(("python -m benchmarks", *flags))


if __name__ == "__main__":
    main()
