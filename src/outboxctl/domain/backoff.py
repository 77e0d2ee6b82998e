"""How long to wait before the next attempt: exponential, jittered, capped."""

from random import Random

MAX_EXPONENT = 60  # 2**60 is beyond any cap; a larger one would overflow a float


def delay(attempts: int, *, base: float, cap: float, rng: Random) -> float:
    """Seconds to wait after `attempts` (from 1): half to all of the step ("equal jitter"), against storms."""
    step = min(cap, base * 2.0 ** min(max(attempts, 1) - 1, MAX_EXPONENT))
    return step / 2 + rng.random() * step / 2


def survives(max_attempts: int, *, base: float, cap: float) -> float:
    """The shortest outage in seconds after which an event can fail, where requests take no time."""
    steps = (
        min(cap, base * 2.0 ** min(attempt, MAX_EXPONENT)) for attempt in range(min(max_attempts - 1, 64))
    )
    beyond = max(0, max_attempts - 1 - 64)
    return (sum(steps) + beyond * cap) / 2
