"""The base class of every lab."""

from collections.abc import Iterator, Mapping
from typing import ClassVar
from uuid import UUID

from outboxctl.drills.labs.context import LabContext
from outboxctl.drills.labs.model import LabPhase

Steps = Iterator[LabPhase]


class Lab:
    """A drill: a subclass sets the texts, and says in `experiment` what is done.

    Texts are English; `messages.zh.toml` has their Chinese. `number` is that of the lab document, None for
    the other drills. `settings` are environment variables in place of the defaults. `real_engine`: an
    imitation of a search engine will not do. `seconds` is how long it usually takes. `by_hand` are the
    commands by which a person does the same. `judged` is the last line of the document's conclusion, before
    the verdict. `entities` are those that `prepare` has written.
    """

    entities: list[UUID]

    name: ClassVar[str]
    number: ClassVar[int | None] = None
    title: ClassVar[str]
    question: ClassVar[str]
    hypothesis: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {}
    real_engine: ClassVar[bool] = False
    events: ClassVar[int] = 200
    seconds: ClassVar[float] = 10.0
    by_hand: ClassVar[tuple[str, ...]] = ()
    judged: ClassVar[str] = ""

    def prepare(self, ctx: LabContext) -> None:
        """Write `events` rows and start a worker."""
        self.entities = ctx.load(self.events)
        ctx.worker("w1").start()

    def experiment(self, ctx: LabContext) -> Steps:
        """Inject the fault (`ctx.fault`), and make sure of its effect (`ctx.confirm`).

        What follows `yield OBSERVE` is done while the fault lasts; all faults are undone after it. What
        follows `yield RECOVER` replaces the wait until no event is left. What follows `yield CHECK` is the
        last: `ctx.expect`, `ctx.conclude`.
        """
        raise NotImplementedError
