"""`chaos block` and `chaos unblock`: the index takes no writes for a while."""

from typing import Annotated

import typer

from outboxctl.cli.chaos.flags import For, Sure, seconds
from outboxctl.cli.options import DatabaseUrl, ElasticIndex, ElasticUrl, Json, settings


def block(
    lasts: For = None,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Block writes to the index (`index.blocks.write`): each delivery ends in `write_blocked`.

    Example: outboxctl chaos block --for 30s
    """
    from outboxctl.cli.chaos.hold import cause
    from outboxctl.drills.faults import block as blocks
    from outboxctl.drills.faults.gate import allow

    given = settings(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
    held = seconds(lasts)
    allow(given, "block the index", sure=sure)
    cause(given, [blocks.block(given)], held, json=json)


def unblock(
    force: Annotated[bool, typer.Option("--force", help="Lift a block that is not ours, too.")] = False,
    database_url: DatabaseUrl = None,
    elastic_url: ElasticUrl = None,
    elastic_index: ElasticIndex = None,
    sure: Sure = False,
    json: Json = False,
) -> None:
    """Lift the write block that `chaos block` set; other blocks stay.

    Example: outboxctl chaos unblock
    """
    from outboxctl.cli import rendering
    from outboxctl.cli.chaos.ledger import opened
    from outboxctl.drills.faults import block as blocks
    from outboxctl.drills.faults.gate import allow

    given = settings(database_url=database_url, elastic_url=elastic_url, elastic_index=elastic_index)
    allow(given, "lift a block of the index", sure=sure)
    index, undone = blocks.unblock(opened(given), given, force=force)
    if json:
        rendering.emit_json({"index": index, "undone": [each.id for each in undone]})
    else:
        typer.echo(f"{index} takes writes")
