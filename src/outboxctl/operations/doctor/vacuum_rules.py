"""Rules for what keeps the outbox small: autovacuum, and whatever holds it back."""

from collections.abc import Iterator

from outboxctl.core.inspect.vacuum import Holders, Part
from outboxctl.operations.doctor.model import INFO, WARNING, Case, RuleGroup
from outboxctl.operations.doctor.remedies import size
from outboxctl.settings import Settings

LONGEST = 300.0  # seconds that a transaction may be open
MANY_DEAD = 10_000  # rows; fewer cost nothing that can be measured
LATE = 100_000  # dead rows before autovacuum starts
MANY_BYTES = 64 * 1024**2
ROW_OVERHEAD = 28  # bytes: header and line pointer
WASTE = 4  # times what the live rows need
FEW_FREE = 70  # fillfactor

PARTS = RuleGroup("vacuum of the outbox")
HOLDERS = RuleGroup("what holds back vacuum")


@PARTS.rule("autovacuum-off-table", WARNING)
def switched_off(parts: list[Part], _: Settings) -> Iterator[Case]:
    """Each event leaves three dead rows; without vacuum, claims get slower by the day."""
    for part in parts:
        if not part.enabled:
            what = f"Autovacuum is off for {part.name}."
            yield what, f"ALTER TABLE {part.name} RESET (autovacuum_enabled);"


@PARTS.rule("vacuum-behind", WARNING)
def behind(parts: list[Part], _: Settings) -> Iterator[Case]:
    """Claims read past dead rows; autovacuum does not keep up, or is held back."""
    for part in parts:
        if part.dead > max(MANY_DEAD, 2 * part.due_at):
            what = (
                f"{part.name} holds {part.dead:,} dead rows beside {part.live:,} live ones; "
                f"autovacuum is due at {part.due_at:,.0f}."
            )
            yield what, f"VACUUM (ANALYZE) {part.name};"


@PARTS.rule("vacuum-late", WARNING)
def late(parts: list[Part], _: Settings) -> Iterator[Case]:
    """On a large table the default share lets dead rows pile up where claims look."""
    for part in parts:
        if part.due_at > LATE:
            options = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000"
            what = f"Autovacuum waits for {part.due_at:,.0f} dead rows in {part.name}."
            yield what, f"ALTER TABLE {part.name} SET ({options});"


@PARTS.rule("bloat", WARNING)
def bloat(parts: list[Part], _: Settings) -> Iterator[Case]:
    """Scans and backups read mostly empty pages; a vacuum frees them only inside the table."""
    for part in parts:
        if part.width is not None and part.bytes > MANY_BYTES:
            needed = part.live * (part.width + ROW_OVERHEAD)
            if part.bytes > WASTE * needed:
                what = f"{part.name} takes {size(part.bytes)}; its live rows need about {size(needed)}."
                yield what, f"VACUUM (FULL, ANALYZE) {part.name};  -- locks it meanwhile; pg_repack does not"


@PARTS.rule("fillfactor", INFO)
def fillfactor(parts: list[Part], _: Settings) -> Iterator[Case]:
    """Its indexes name the status, so no update is HOT, and the room stays empty."""
    for part in parts:
        if part.fillfactor < FEW_FREE:
            what = f"The fillfactor of {part.name} is {part.fillfactor}."
            yield what, f"ALTER TABLE {part.name} RESET (fillfactor);"


@HOLDERS.rule("long-transaction", WARNING)
def transaction(holders: Holders, _: Settings) -> Iterator[Case]:
    """No vacuum removes a row that this transaction could still see: the outbox grows, claims slow down."""
    for each in holders.transactions:
        what = (
            f"Process {each.name} ({each.kind}) has had a transaction open for {each.seconds / 60:,.0f} min."
        )
        yield what, f"SELECT pg_terminate_backend({each.name});"


@HOLDERS.rule("prepared-transaction", WARNING)
def prepared(holders: Holders, _: Settings) -> Iterator[Case]:
    """It holds back vacuum, and its locks, even over a restart."""
    for each in holders.prepared:
        what = f"The prepared transaction {each.name} has waited for {each.seconds / 60:,.0f} min."
        yield what, f"ROLLBACK PREPARED {each.name};"


@HOLDERS.rule("slot-inactive", WARNING)
def slot(holders: Holders, _: Settings) -> Iterator[Case]:
    """The server keeps WAL for it until its disk is full."""
    for each in holders.slots:
        kept = f"{size(each.bytes)} of WAL{' and dead rows' if each.holds_rows else ''}"
        what = f"Nobody reads the {each.kind} replication slot {each.name}; it keeps {kept}."
        yield what, f"SELECT pg_drop_replication_slot({each.name});"
