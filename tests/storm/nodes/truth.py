"""Whether a copy's answer can be, by what the outbox and the application say."""

from collections.abc import Collection
from enum import StrEnum


class Damage(StrEnum):
    """What is wrong with an answer."""

    BACK = "went back"
    GONE = "was gone"
    RESURRECTED = "came back"


def damage(held: int | None, *, settled: int, removed: Collection[int]) -> Damage | None:
    """What is wrong with an answer: the version that the copy `held`, None without a document.

    `settled` is the newest version whose event was done before the copy was asked (0: none), `removed` are
    the versions at which the entity was deleted, up to now.
    """
    if held is None:
        gone = settled > 0 and not any(version >= settled for version in removed)
        return Damage.GONE if gone else None
    if held >= settled:
        return None
    came_back = any(held < version <= settled for version in removed)
    return Damage.RESURRECTED if came_back else Damage.BACK
