"""What must hold in every state (`failures.md`): each lab ends with these checks."""

from collections.abc import Iterator

from outboxctl.core.stats import drill_snapshot
from outboxctl.drills.labs.context import LabContext
from outboxctl.sink.index import scanned

DOCUMENTS_A_REQUEST = 1_000
NOT_LOST = "no event is lost"
NOT_HELD = "no event at rest has an owner or a lease"
ATTEMPTS = "attempts never exceed the limit"
DELIVERED = "what is done is in the index, or gone from the source"
NONE_ENDED = "workers that ended by themselves"
NO_TRACEBACK = "no traceback in a worker's log"


def check(ctx: LabContext) -> None:
    """Take snapshot C, and add a check for each; one that does not hold is a FAIL."""
    ctx.snapshot("C")
    counts, most = ctx.counts(), ctx.settings.max_attempts
    ctx.expect(NOT_LOST, f"{ctx.written} events", f"{counts.total} events")
    ctx.expect(NOT_HELD, 0, counts.half_held)
    ctx.expect(ATTEMPTS, f"at most {most}", counts.attempts_most, met=counts.attempts_most <= most)
    missing = list(_missing(ctx))
    example = f", such as {missing[0]}" if missing else ""
    ctx.expect(DELIVERED, "0 are not", f"{len(missing)} are not{example}", met=not missing)
    logged = [name for name, worker in ctx.workers.items() if _erred(worker.log_text())]
    ctx.expect(NO_TRACEBACK, "none", ", ".join(logged) or "none")
    ended = [f"{name} with {code}" for name, worker in ctx.workers.items() for code in worker.deaths]
    ctx.expect(NONE_ENDED, "none", ", ".join(ended) or "none")


def _erred(log: str) -> bool:
    """Whether a worker logged an error that no rule expects; another build may log it without a traceback."""
    return "Traceback" in log or "unexpected error" in log


def _missing(ctx: LabContext) -> Iterator[str]:
    """Documents older than a done event, or absent although their row exists."""
    entities = ctx.transact(drill_snapshot.done)
    for start in range(0, len(entities), DOCUMENTS_A_REQUEST):
        some = entities[start : start + DOCUMENTS_A_REQUEST]
        versions = scanned.versions(ctx.client, ctx.settings.elastic_index, [each.id for each in some])
        for entity in some:
            version = versions[entity.id]
            deleted = entity.source_version is None
            if not (deleted if version is None else version >= entity.event_version):
                yield entity.id
