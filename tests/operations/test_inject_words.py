"""What was put in, and what will become of it, is said beside the ids: stdout is for scripts."""

from uuid import UUID

from processes import Cli


def test_a_bad_event_is_explained_beside_its_id(cli: Cli) -> None:
    """A bare id was all that anybody was told."""
    done = cli("inject", "bad-op")
    (line,) = done.stdout.splitlines()
    assert UUID(line)
    assert "Inserted 1 event with the unknown op 'not-a-real-op'." in done.stderr
    assert "Each fails at its first attempt" in done.stderr
    assert f"Next: outboxctl worker --drain; outboxctl failed show {line}" in done.stderr
    cli.ok("worker", "--drain")
    assert "Unknown outbox op" in cli.ok("failed", "show", line)
