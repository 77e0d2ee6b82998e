"""The index is built anew while an application writes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from threading import Event

from outboxctl.core.database import Database
from outboxctl.core.operator.rebuilds import RebuildPhase
from outboxctl.drills.labs.lab import Lab
from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.operations.rebuild.model import RebuildReport, Tools
from outboxctl.operations.rebuild.plan import plan
from outboxctl.operations.rebuild.run import alone, apply
from outboxctl.operations.verify.survey import survey
from outboxctl.sink.index.scan import Reader

CONNECTIONS = 6  # of a rebuild: the lock's, the row's, one to read with, and three of the comparison
ROUNDS_AFTER = 5  # of writing once the rebuild has ended


class RebuildUnderLoad(Lab):
    """`rebuild` beside a worker and a writer who inserts, updates and deletes all the while."""

    name = "rebuild-under-load"
    title = BilingualText("A rebuild loses nothing of what is written meanwhile", "重建索引期间的写入不丢失")
    question = BilingualText(
        "Does the new index hold what was inserted, changed and deleted while it was built?",
        "新索引包含构建期间的插入、修改和删除吗？",
    )
    hypothesis = BilingualText(
        "The alias moves from one moment to the next, and rows and documents agree afterwards.",
        "别名瞬间切换，之后源表与索引完全一致（verify 无差异）。",
    )
    settings = {"OUTBOX_BULK_SIZE": "100", "OUTBOX_CONCURRENCY": "1"}
    events = 300
    seconds = 15.0
    by_hand = (
        "outboxctl inject load --scenario mixed --total 20000 --rate 500 &",
        "outboxctl rebuild --yes",
        "outboxctl verify",
    )

    def prepare(self, scene: Scene) -> None:
        """Some rows to change and delete."""
        self.entities = scene.load(self.events)
        scene.worker("w1").start()

    def inject(self, scene: Scene) -> None:
        """Write from before the rebuild until after it."""
        before = scene.written
        self.report = scene.fault("rebuild under load", lambda: self._rebuild(scene))
        self.meanwhile = scene.written - before
        scene.took_hold(
            BilingualText("it ended, and events were written meanwhile", "重建完成且期间有写入"),
            lambda: self.report and self.report.phase == RebuildPhase.DONE and self.meanwhile,
            within=0,
        )

    def check(self, scene: Scene) -> None:
        """Every row has its document, and no document is without a row."""
        assert self.report  # noqa: S101 - for mypy: it took hold
        with _database(scene) as database:
            reader = Reader(scene.client, scene.settings.elastic_index)
            seen = survey(database, reader, content=True, full=True, limit=3, advance=lambda _: None)
        different = {kind: number for kind, number in seen.by_kind.items() if number}
        scene.expect(BilingualText("the index in use", "正在使用的索引"), self.report.new_index, seen.index)
        scene.expect(BilingualText("rows and documents that differ", "不一致的行与文档"), {}, different)
        scene.expect(BilingualText("events failed", "failed 事件数"), 0, scene.look().failed)
        scene.conclude(BilingualText("events written meanwhile", "期间写入的事件"), self.meanwhile)
        scene.conclude(BilingualText("documents compared", "对比的文档"), seen.documents)

    def _rebuild(self, scene: Scene) -> RebuildReport:
        """The rebuild in a thread of its own, and in this one the application."""
        stop, rounds = Event(), count()
        with ThreadPoolExecutor(1) as pool:
            rebuild = pool.submit(_rebuilt, scene, stop)
            try:
                while not rebuild.done():
                    self._write(scene, next(rounds))
            finally:
                stop.set()
        for _ in range(ROUNDS_AFTER):
            self._write(scene, next(rounds))
        return rebuild.result()

    def _write(self, scene: Scene, number: int) -> None:
        """Some new rows, some changed ones, and one deleted, as long as there are old ones."""
        scene.load(5)
        scene.write(self.entities[number:][:10])
        scene.delete(self.entities[number:][:1])
        scene.pause(0.1)


def _rebuilt(scene: Scene, stop: Event) -> RebuildReport:
    name = scene.settings.elastic_index
    with _database(scene) as database, alone(database, name) as held:
        with database.begin() as connection:
            planned = plan(connection, scene.client, name)
        tools = Tools(database, scene.client, held, stop, say=scene.say)
        return apply(tools, planned, by="lab", reason=scene.record.lab, grace_seconds=0, keep_failed=False)


@contextmanager
def _database(scene: Scene) -> Iterator[Database]:
    url = scene.settings.require_database_url()
    with closing(Database(url, connections=CONNECTIONS)) as database:
        yield database
