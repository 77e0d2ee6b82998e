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
    imitation of a search engine will not do. `own_engine`: it stops one of its own, where the servers are
    ours. `seconds` is how long it usually takes, and `engine_start` what the start of a real search engine
    adds to that. `by_hand` are the commands by which a person does the same. `judged` is the last line of
    the document's conclusion, before the verdict. `entities` are those that `prepare` has written.
    """

    entities: list[UUID]

    name: ClassVar[str]
    number: ClassVar[int | None] = None
    title: ClassVar[str]
    question: ClassVar[str]
    hypothesis: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {}
    real_engine: ClassVar[bool] = False
    own_engine: ClassVar[bool] = False
    events: ClassVar[int] = 200
    seconds: ClassVar[float] = 10.0
    engine_start: ClassVar[float] = 0.0
    by_hand: ClassVar[tuple[str, ...]] = ()
    judged: ClassVar[str] = ""

    @classmethod
    def takes(cls) -> str:
        """How long it usually takes: `9-29 s` where that depends on the search engine."""
        longest = f"-{cls.seconds + cls.engine_start:g}" if cls.engine_start else ""
        return f"{cls.seconds:g}{longest} s"

    def prepare(self, ctx: LabContext) -> None:
        """Write `events` rows and start a worker, past the proxy where the engine itself is to stop."""
        self.entities = ctx.load(self.events)
        ctx.worker("w1", direct=ctx.namespace.own is not None).start()

    def steady(self, ctx: LabContext) -> None:
        """Wait for the steady state: all events delivered, the worker ready."""
        ctx.expect_steady(self.events)

    def experiment(self, ctx: LabContext) -> Steps:
        """Inject the fault (`ctx.fault`), and make sure of its effect (`ctx.confirm`).

        What follows `yield OBSERVE` is done while the fault lasts; all faults are undone after it. What
        follows `yield RECOVER` replaces the wait until no event is left. What follows `yield CHECK` is the
        last: `ctx.expect`, `ctx.conclude`.
        """
        raise NotImplementedError
