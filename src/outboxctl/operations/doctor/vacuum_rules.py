"""Rules for what keeps the outbox small: autovacuum, and whatever holds it back."""

from collections.abc import Iterator

from outboxctl.core.inspect.vacuum import Holders, Part
from outboxctl.operations.doctor.model import FindingSeverity, RuleGroup, Said, rule
from outboxctl.operations.doctor.remedies import size
from outboxctl.settings import Settings

LONGEST = 300.0  # seconds that a transaction may be open
MANY_DEAD = 10_000  # rows; below that nobody feels them
LATE = 100_000  # dead rows before autovacuum starts
MANY_BYTES = 64 * 1024**2
ROW_OVERHEAD = 28  # bytes: header and line pointer
WASTE = 4  # times what the live rows need
FEW_FREE = 70  # fillfactor


@rule(
    "autovacuum-off-table",
    FindingSeverity.WARNING,
    "Each event leaves three dead rows; unswept, claims get slower by the day.",
)
def switched_off(parts: list[Part], _: Settings) -> Iterator[Said]:
    """Autovacuum switched off for the outbox, or for a partition of it."""
    for part in parts:
        if not part.enabled:
            yield (
                f"Autovacuum is off for {part.name}.",
                f"ALTER TABLE {part.name} RESET (autovacuum_enabled);",
            )


@rule(
    "vacuum-behind",
    FindingSeverity.WARNING,
    "Claims read past dead rows; autovacuum does not keep up, or is held back.",
)
def behind(parts: list[Part], _: Settings) -> Iterator[Said]:
    """Twice as many dead rows as autovacuum should ever see."""
    for part in parts:
        if part.dead > max(MANY_DEAD, 2 * part.due_at):
            what = (
                f"{part.name} holds {part.dead:,} dead rows beside {part.live:,} live ones; "
                f"autovacuum is due at {part.due_at:,.0f}."
            )
            yield what, f"VACUUM (ANALYZE) {part.name};"


@rule(
    "vacuum-late",
    FindingSeverity.WARNING,
    "On a large table the default share lets dead rows pile up where claims look.",
)
def late(parts: list[Part], _: Settings) -> Iterator[Said]:
    """A share of a table that has grown large."""
    for part in parts:
        if part.due_at > LATE:
            options = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000"
            what = f"Autovacuum waits for {part.due_at:,.0f} dead rows in {part.name}."
            yield what, f"ALTER TABLE {part.name} SET ({options});"


@rule(
    "bloat",
    FindingSeverity.WARNING,
    "Scans and backups read mostly empty pages; a vacuum frees them only inside the table.",
)
def bloat(parts: list[Part], _: Settings) -> Iterator[Said]:
    """A table much larger than its live rows."""
    for part in parts:
        if part.width is not None and part.bytes > MANY_BYTES:
            needed = part.live * (part.width + ROW_OVERHEAD)
            if part.bytes > WASTE * needed:
                what = f"{part.name} takes {size(part.bytes)}; its live rows need about {size(needed)}."
                yield what, f"VACUUM (FULL, ANALYZE) {part.name};  -- locks it meanwhile; pg_repack does not"


@rule(
    "fillfactor",
    FindingSeverity.INFO,
    "Its indexes name the status, so no update is HOT, and the room stays empty.",
)
def fillfactor(parts: list[Part], _: Settings) -> Iterator[Said]:
    """Room for updates that no update can use."""
    for part in parts:
        if part.fillfactor < FEW_FREE:
            yield (
                f"The fillfactor of {part.name} is {part.fillfactor}.",
                f"ALTER TABLE {part.name} RESET (fillfactor);",
            )


@rule(
    "long-transaction",
    FindingSeverity.WARNING,
    "No vacuum removes a row that this transaction could still see: the outbox grows, and claims slow down.",
)
def transaction(holders: Holders, _: Settings) -> Iterator[Said]:
    """A transaction open for minutes."""
    for each in holders.transactions:
        what = (
            f"Process {each.name} ({each.kind}) has had a transaction open for {each.seconds / 60:,.0f} min."
        )
        yield what, f"SELECT pg_terminate_backend({each.name});"


@rule(
    "prepared-transaction",
    FindingSeverity.WARNING,
    "It holds back vacuum, and its locks, even over a restart.",
)
def prepared(holders: Holders, _: Settings) -> Iterator[Said]:
    """A prepared transaction that nobody ended."""
    for each in holders.prepared:
        what = f"The prepared transaction {each.name} has waited for {each.seconds / 60:,.0f} min."
        yield what, f"ROLLBACK PREPARED {each.name};"


@rule("slot-inactive", FindingSeverity.WARNING, "The server keeps WAL for it until its disk is full.")
def slot(holders: Holders, _: Settings) -> Iterator[Said]:
    """A replication slot that nobody reads."""
    for each in holders.slots:
        kept = f"{size(each.bytes)} of WAL{' and dead rows' if each.holds_rows else ''}"
        what = f"Nobody reads the {each.kind} replication slot {each.name}; it keeps {kept}."
        yield what, f"SELECT pg_drop_replication_slot({each.name});"


PARTS = RuleGroup("vacuum of the outbox", (switched_off, behind, late, bloat, fillfactor))
HOLDERS = RuleGroup("what holds back vacuum", (transaction, prepared, slot))
