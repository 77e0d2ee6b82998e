"""What must hold after anything (`failures.md`): every lab ends with it, whatever it was about."""

from collections.abc import Iterator, Sequence

from outboxctl.core.stats import drill_snapshot
from outboxctl.core.stats.drill_snapshot import DoneEntity
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene

AT_ONCE = 1_000  # documents a request
NO_ROW_LOST = BilingualText("no event is lost", "没有事件丢失")
NONE_HALF_HELD = BilingualText("no event at rest has an owner or a lease", "静止的事件没有持有者或租约")
ATTEMPTS = BilingualText("attempts never exceed the limit", "尝试次数不超过上限")
DONE_IS_TRUE = BilingualText(
    "what is done is in the index, or gone from the source", "done 的事件在索引中，或源行已删除"
)
NO_TRACEBACK = BilingualText("no traceback in a worker's log", "worker 日志中没有异常堆栈")


def check(scene: Scene) -> None:
    """Add a check for each; one that does not hold is a FAIL."""
    seen, most = scene.look(), scene.settings.max_attempts
    scene.expect(NO_ROW_LOST, f"{scene.written} events", f"{seen.total} events")
    scene.expect(NONE_HALF_HELD, 0, seen.half_held)
    scene.expect(ATTEMPTS, f"at most {most}", seen.attempts_most, met=seen.attempts_most <= most)
    untrue = list(_untrue(scene))
    scene.expect(DONE_IS_TRUE, "0 are not", f"{len(untrue)} are not{_such_as(untrue)}", met=not untrue)
    loud = [name for name, worker in scene.workers.items() if "Traceback" in worker.log_text()]
    scene.expect(NO_TRACEBACK, "none", ", ".join(loud) or "none")


def _untrue(scene: Scene) -> Iterator[str]:
    """Documents that are older than a done event says, or missing though their row is there."""
    entities = scene.transact(drill_snapshot.done)
    for start in range(0, len(entities), AT_ONCE):
        some = entities[start : start + AT_ONCE]
        versions = scene.indexed([entity.id for entity in some])
        yield from (entity.id for entity in some if not _true(entity, versions[entity.id]))


def _true(entity: DoneEntity, version: int | None) -> bool:
    return entity.source_version is None if version is None else version >= entity.event_version


def _such_as(ids: Sequence[str]) -> str:
    return f", such as {ids[0]}" if ids else ""
