"""What the operator's commands cost on a large outbox, and the worker meanwhile."""

import json
import signal
from argparse import Namespace
from time import perf_counter

from benchmarks import rows
from benchmarks.command import OTHERS, collected, filled, ratios, say, turns
from benchmarks.processes import answer, begin, wait_until
from benchmarks.report import Section
from outboxctl.core.schema.names import AUDIT
from outboxctl.core.stats import snapshot
from outboxctl.drills.bench import process, tables
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import Rig, must

OLDER_THAN = ("--older-than", "7d")
BYTES = 500  # text of a source row
NOTES = """\
- Database time of `status`: its statements alone, on a connection that is there. All others are whole
  commands, from exec to exit, with `--json`; those called empty before there were any rows.
- The failed rows have 20 causes, and each an error text of its own: an id and a number are in it.
- The longest batch of a replay: the longest time between the starts of two transactions, by the audit.
- Between two replays the events are made to fail again, and the table is vacuumed.
- The worker beside a prune: a real `worker --drain` with its own documents and a real Elasticsearch, alone
  and beside a `prune` at its default rate, in turns; the ratio is that of each pair.
- `prune`, paced: its own rate meanwhile. Unpaced: what remains at the end, with `--rate 1000000`.
"""
# Twenty causes; each error has an id and a number of its own.
FAILED = """
INSERT INTO {events} (id, entity_type, entity_id, op, event_version, status, attempts, error_reason, error,
    created_at, updated_at)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'failed', 10,
    (ARRAY['mapping', 'connect', 'timeout', 'bad_request'])[1 + n % 4],
    'cause ' || chr(65 + n % 20) || ': failed to parse field [text] of ' || gen_random_uuid() || ' after '
        || n || ' ms', now(), now()
FROM generate_series(1, {rows}) n
"""
FAILED_AGAIN = """
UPDATE {events} SET status = 'failed', attempts = 10, error_reason = 'mapping',
    error = 'cause A: failed to parse field [text] of ' || id
WHERE status = 'pending'
"""
# now() is the start of a batch's transaction: between two starts lie the batch and the pause after it.
LONGEST = f"""
SELECT coalesce(1000 * extract(epoch FROM max(gap)), 0) FROM (
    SELECT lead(at) OVER (ORDER BY at) - at AS gap FROM {AUDIT} WHERE act_id = '%s') gaps
"""
PRUNED = f"SELECT count(*) FROM {AUDIT} WHERE action = 'prune'"


FIGURES = (
    BenchFigure("status, database time", "ms", [], 100, digits=1),
    BenchFigure("status, empty", "s", [], digits=2),
    BenchFigure("failed list, empty", "s", [], digits=2),
    BenchFigure("status", "s", [], digits=2),
    BenchFigure("failed list", "s", [], digits=2),
    BenchFigure("replay", "s", [], 10, digits=2),
    BenchFigure("its longest batch", "ms", [], 100, digits=1),
    BenchFigure("prune, paced", "rows/s", [], 20_000, at_least=True),
    BenchFigure("prune, unpaced", "rows/s", []),
    BenchFigure("worker alone", "events/s", []),
    BenchFigure("worker beside a prune", "events/s", []),
    BenchFigure("beside/alone", "", [], 0.9, at_least=True, digits=2),
    BenchFigure(OTHERS, "", [], digits=2),
)


def run(rig: Rig, args: Namespace) -> Section:
    """Fill the tables once, then every command in each repetition."""
    tables.reset(rig)
    rows.execute(rig, rows.TRUNCATE)
    empty = collected(rig, args.repeat, lambda _number: _reading(rig, ", empty"))
    rows.write_past(rig, rows.Past(rows=args.done, random=True))
    rows.execute(rig, FAILED, rows=args.failed)
    tables.flush(rig)
    say("warm-up")
    _alone(rig, args.events, 0)

    def repetition(number: int) -> dict[str, float]:
        values = _commands(rig, args.failed)
        for deliver in turns((_alone, _beside), number):
            values |= deliver(rig, args.events, 2 * number + (deliver is _beside))
        return values

    values = empty | collected(rig, args.repeat, repetition)
    values["beside/alone"] = ratios(values["worker beside a prune"], values["worker alone"])
    values["prune, unpaced"] = [_unpaced(rig)]
    sizes = f"{args.done:,} done and {args.failed:,} failed rows, {args.events:,} events for the worker"
    about = f"{sizes}, {args.repeat} repetitions."
    return Section("The operator's desk", about, filled(FIGURES, values), NOTES)


def _commands(rig: Rig, failed: int) -> dict[str, float]:
    """`status`, `failed list` and a replay of everything, which is made to fail again."""
    with rig.database.begin() as connection:
        started = perf_counter()
        snapshot.pipeline_status(connection, max_processing=rig.settings.max_processing_seconds)
        database_ms = 1_000 * (perf_counter() - started)
    values = {"status, database time": database_ms} | _reading(rig)
    flags = ("--by", "bench", "--reason", "bench", "--limit", str(failed))
    values["replay"], report = answer(rig, "replay", *flags)
    must(report["replayed"] == failed, f"{report['replayed']} events were replayed")
    values["its longest batch"] = tables.number(rig, LONGEST % report["audit_id"])
    rows.execute(rig, FAILED_AGAIN)
    tables.flush(rig)
    return values


def _reading(rig: Rig, state: str = "") -> dict[str, float]:
    """Seconds of the commands that a person types first, by their names and the outbox's state."""
    answer(rig, "status")  # fills the disk's cache
    return {f"{' '.join(words)}{state}": answer(rig, *words)[0] for words in (["status"], ["failed", "list"])}


def _alone(rig: Rig, events: int, seed: int) -> dict[str, float]:
    _fill(rig, events, seed)
    return {"worker alone": process.drain_rate(rig, events, process.drain(rig))}


def _beside(rig: Rig, events: int, seed: int) -> dict[str, float]:
    _fill(rig, events, seed)
    before = tables.number(rig, PRUNED)
    with begin(rig, "prune", *OLDER_THAN, "--json") as prune:
        wait_until(lambda: tables.number(rig, PRUNED) > before, "the prune's first batch", 0.05)
        run = process.drain(rig)
        prune.send_signal(signal.SIGINT)
        report = json.loads(prune.communicate(timeout=process.PATIENCE)[0])
    must(report["interrupted"], "the prune ended before the worker: give more --done")
    rate = process.drain_rate(rig, events, run)
    return {"worker beside a prune": rate, "prune, paced": report["pruned"] / report["seconds"]}


def _fill(rig: Rig, events: int, seed: int) -> None:
    tables.fresh_index(rig)
    tables.write(rig.database, events, BYTES, 1_000, seed=seed)
    tables.flush(rig)


def _unpaced(rig: Rig) -> float:
    tables.flush(rig)
    report = answer(rig, "prune", *OLDER_THAN, "--rate", "1000000")[1]
    say(f"prune of the remaining {report['pruned']:,} rows in {report['seconds']:.1f} s")
    return float(report["pruned"] / report["seconds"])
