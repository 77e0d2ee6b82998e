"""Events that are older than the rows they speak of."""

from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene

HALF = 10


class StaleEvent(Lab):
    """Old upserts and old deletes arrive after newer events were delivered."""

    name = "stale-event"
    title = BilingualText("A late, old event harms nothing", "迟到的旧事件无害")
    question = BilingualText(
        "Does an event that is older than its row take the document back, or away?",
        "比源行旧的事件会让文档回退或消失吗？",
    )
    hypothesis = BilingualText(
        "The document follows the row, not the event: it stays, at the row's version, and the event is done.",
        "文档跟随源行而非事件：文档保留且版本与源行一致，旧事件进入 done。",
    )
    events = 20
    seconds = 3.0
    by_hand = ("outboxctl inject stale --count 20", "outboxctl status", "outboxctl verify")

    def prepare(self, scene: Scene) -> None:
        """Every row is at its second version."""
        self.entities = scene.load(self.events)
        scene.write(self.entities)
        scene.worker("w1").start()

    def steady(self, scene: Scene) -> None:
        """Both versions of each are delivered."""
        scene.steady(2 * self.events)

    def inject(self, scene: Scene) -> None:
        """For each row an event of its first version: upserts, and deletes."""
        self.stale = scene.fault("events older than their rows", lambda: self._insert(scene))
        scene.took_hold(
            BilingualText("old events are in the table", "旧事件已写入表中"),
            lambda: self.stale and {e.event_version for e in scene.events(self.stale)} == {1},
            within=2,
        )

    def check(self, scene: Scene) -> None:
        """No document has moved."""
        assert self.stale  # noqa: S101 - for mypy: it took hold
        versions = scene.versions(self.entities)
        upserted, deleted = set(versions[:HALF]), set(versions[HALF:])
        scene.expect(BilingualText("versions after old upserts", "旧 upsert 之后的版本"), {2}, upserted)
        scene.expect(BilingualText("versions after old deletes", "旧 delete 之后的版本"), {2}, deleted)
        ended = {event.status for event in scene.events(self.stale)}
        scene.expect(BilingualText("how the old events ended", "旧事件的终态"), {"done"}, ended)
        scene.conclude(BilingualText("old events", "旧事件数"), len(self.stale))
        scene.conclude(
            BilingualText("documents taken back or away", "回退或消失的文档"),
            len(versions) - versions.count(2),
        )

    def _insert(self, scene: Scene) -> list[str]:
        ops = ["upsert"] * HALF + ["delete"] * (len(self.entities) - HALF)
        pairs = zip(ops, self.entities, strict=True)
        return [scene.insert(op=op, entity=entity, version=1) for op, entity in pairs]
