"""Rules for NOTIFY: whether somebody hears what the inserts pay for."""

from collections.abc import Iterator
from dataclasses import dataclass

from outboxctl.core.schema.notify import NotifyState
from outboxctl.operations.doctor.model import FindingSeverity, RuleGroup, Said, rule
from outboxctl.settings import NotifyPolicy, Settings


@dataclass(frozen=True)
class Hearing:
    """How the switch stands, and whether our way to it is one on which nothing is heard."""

    switch: NotifyState
    pooled: bool


@rule(
    "notify-pooled",
    FindingSeverity.WARNING,
    "Such a pooler passes no notification on: every insert pays for one, and this worker only polls.",
)
def pooled(hearing: Hearing, settings: Settings) -> Iterator[Said]:
    """The inserts notify, and a worker with these settings is deaf."""
    if hearing.switch.on and hearing.pooled and settings.notify is NotifyPolicy.AUTO:
        mend = "outboxctl db notify off  # or set DATABASE_URL to PostgreSQL itself, not to the pooler"
        yield "Inserts notify, and DATABASE_URL leads through a pooler in transaction mode.", mend


@rule("notify-unheard", FindingSeverity.INFO, "Every insert pays for a notification that nobody hears.")
def no_listener(hearing: Hearing, _: Settings) -> Iterator[Said]:
    """The inserts notify, and no session listens, as far as this role may see."""
    if hearing.switch.on and not hearing.pooled and not hearing.switch.listening:
        mend = "outboxctl db notify off  # or start a worker whose OUTBOX_NOTIFY is auto"
        yield "Inserts notify, and no session is seen to listen.", mend


NOTIFY = RuleGroup("NOTIFY", (pooled, no_listener))
