"""S, P, B and E in turns on the same servers: the base of everything else."""

from argparse import Namespace

from benchmarks import start
from benchmarks.figures import Measured
from benchmarks.report import Section
from benchmarks.servers import say
from outboxctl.drills.bench import fill, pipeline, process, sink, store
from outboxctl.drills.bench.neighbours import Neighbours
from outboxctl.drills.bench.rig import Rig

TITLE = "Pipeline"
HELP_RUNS = 7
START_RUNS = 7
NOTES = """\
- S: the sink's own limit. The very bulk bodies of the worker, from memory, 1,000 documents a request,
  into a fresh index; the best of 1, 2 and 3 sending threads.
- P: claim and settle by the product's lanes with a sink that takes everything at once.
- B = 1/(1/P + 1/S): the bound where worker, PostgreSQL and engine share the cores.
  E/B above 1 means that P or S alone left a core idle, or that others took cores from them.
- E: a real `outboxctl worker --drain` process, from its line "worker started" to its last settle (the
  newest `processed_at`, plus the median duration of a settle in P).
- Its start within E: from the same line to the settle of a single event. What is loaded for the first
  batch is in there, and so in E.
- CPU an event: user and system time of the whole process, or of the server with its children, less the
  median of what the same command takes for a single event. What a server does later (refresh, merges,
  checkpoint) is not in it. Its ratios are what `make bench-check` can compare on another machine.
- Claims are timed from taking a connection to the commit; these are P's.
- Before each measurement the tables are truncated, vacuumed and filled anew, the index is created anew,
  and PostgreSQL makes a checkpoint. 500,000 documents and one whole repetition beforehand warm up and are
  thrown away.
- "Cores taken by others" is what processes that are no part of this used meanwhile; rates mean little
  unless it is near 0.
- The servers are a PostgreSQL and an Elasticsearch as `outboxctl services up` starts them (fsync on).
"""


def warm_up(rig: Rig, events: int, size: int) -> None:
    """Before anything is measured: an engine's own code is still being compiled."""
    say("warm-up")
    sink.warm_up(rig, sink.bodies(rig, events, sink.text_of(rig, size)), events)


def run(rig: Rig, given: Namespace) -> Section:
    """Repeat, and measure once what does not vary."""
    into, line = repeated(rig, given.base_events, given.bytes, given.repeat)
    say(f"a worker with {given.backlog:,} pending events")
    fill.pending(rig, given.backlog, sink.text_of(rig, given.bytes))
    into.backlog_rss.append(process.drain(rig).rss)
    into.help.extend(process.help_ms(HELP_RUNS))
    say("workers from their start to their first claim")
    into.first_claim.extend(start.first_claim_ms(rig, START_RUNS))
    return Section(TITLE, _about(rig, given, line), into.figures(), NOTES)


def repeated(rig: Rig, events: int, size: int, repeat: int) -> tuple[Measured, int]:
    """Everything `repeat` times, once more before; also the bytes of a document with its line."""
    text = sink.text_of(rig, size)
    requests = sink.bodies(rig, events, text)
    say("a repetition that is thrown away")
    once(rig, text, requests, Measured(events))
    into, neighbours = Measured(events), Neighbours(rig)
    for number in range(1, repeat + 1):
        say(f"repetition {number} of {repeat}")
        once(rig, text, requests, into)
        into.others.append(neighbours.cores())
    return into, sum(map(len, requests)) // events


def once(rig: Rig, text: int, requests: list[bytes], into: Measured) -> None:
    """S, P and E, one after the other."""
    rates = sink.limit(rig, requests, into.events)
    say("S " + ", ".join(f"{rate:,.0f}/s with {senders}" for senders, rate in rates.items()))
    into.s.append(max(rates.values()))
    drained = store.drain(rig, into.events, text)
    say(f"P {drained.rate:,.0f}/s, longest claim {drained.longest_claim:.0f} ms")
    into.p.append(drained)
    into.e.append(pipeline.drain(rig, into.events, text, settle_ms=drained.median_settle))
    say(f"E {into.e[-1].rate:,.0f}/s, {into.ratio[-1]:.2f} of the bound")


def _about(rig: Rig, given: Namespace, line: int) -> str:
    size = f"{given.bytes} bytes of JSON ({line:,} with its line of the bulk request)"
    setting = f"{rig.settings.concurrency} lanes, {rig.settings.bulk_size:,} a batch"
    return f"{given.base_events:,} events of {size}, {setting}, {given.repeat} repetitions."
