"""Every lab, one file each; those with a number are the document's."""

from outboxctl.labs.catalogue.bad_op import BadOp
from outboxctl.labs.catalogue.kill_and_heal import KillAndHeal
from outboxctl.labs.lab import Lab

# Labs that take longest begin first, so that a run of all ends soonest.
LABS: tuple[type[Lab], ...] = (
    KillAndHeal,
    BadOp,
)
CORE = tuple(sorted((lab for lab in LABS if lab.number), key=lambda lab: lab.number or 0))
