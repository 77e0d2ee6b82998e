"""`lab report`: the evidence of a run."""

from pathlib import Path
from typing import Annotated

import typer

from outboxctl.cli.ending import tolerate_closed_pipe
from outboxctl.cli.lab.catalogue import Lang, Language
from outboxctl.cli.lab.run_arguments import HOME
from outboxctl.cli.options import Json


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Evidence of a run, or a folder of such: its newest run."),
    ] = HOME,
    lang: Language = Lang.EN,
    json: Json = False,
) -> None:
    """Show the newest run's evidence; exits as that run did.

    Example: outboxctl lab report
    """
    from outboxctl.cli import rendering
    from outboxctl.cli.lab.summary import CODES, show
    from outboxctl.drills.labs.evidence import load, newest

    path = newest(folder)
    run = load(path)
    with tolerate_closed_pipe():
        rendering.emit_json(run) if json else show(run, path, lang, rendering.console())
    raise typer.Exit(CODES[run.verdict])
