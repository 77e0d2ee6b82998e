"""How much is to happen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`rate` transactions a second for so many seconds, and a worker killed every `kill_every` of them.

    None is killed in the last `lease` seconds and a bit: what it held comes back after its lease, which is no
    part of what is measured. All must be delivered `patience` seconds after the last write.
    """

    seconds: float = 600
    seed: int = 1
    rate: float = 50
    workers: int = 3
    kill_every: float = 10
    lease: float = 5
    patience: float = 900
