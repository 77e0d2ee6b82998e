"""`lab run`: the labs, one verdict, and the exit code that goes with it."""

from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli.lab.catalogue import chosen
from outboxctl.cli.options import Json
from outboxctl.cli.services import Search
from outboxctl.errors import ExitCode

if TYPE_CHECKING:
    from outboxctl.labs.drill import Moment
    from outboxctl.labs.model import Run


def run(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Labs, or `core` or `all`.")],
    search: Annotated[Search, typer.Option(help="Which search engine.")] = Search.AUTO,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=32, help="Labs side by side.")] = 4,
    no_fault: Annotated[
        bool, typer.Option("--no-fault", help="A control run: break nothing; no lab may then say OK.")
    ] = False,
    json: Json = False,
) -> None:
    """Run labs on services of their own and give a verdict: exit 0 if OK, 4 if FAIL, 5 if INCONCLUSIVE.

    Example: outboxctl lab run core
    """
    from pathlib import Path
    from threading import Event

    from outboxctl.cli import render
    from outboxctl.labs.model import Verdict
    from outboxctl.labs.place import OwnPlace
    from outboxctl.labs.run import Options
    from outboxctl.labs.run import run as run_labs
    from outboxctl.scratch.folder import own_folder

    labs = chosen(names)
    say = render.console(stderr=True).print
    with own_folder("lab", say) as folder:
        ended = run_labs(
            labs,
            OwnPlace(folder.path, search.value, {}, say),
            Path("lab-evidence"),
            options=Options(jobs=jobs, faults=not no_fault),
            tell=_tell,
            ended=lambda record: say(f"{record.lab}: {record.verdict} {record.why}"),
            stop=Event(),
        )
    if json:
        render.emit_json(ended)
    else:
        _close(ended)
    codes = {Verdict.FAIL: ExitCode.FINDINGS, Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE}
    raise typer.Exit(codes.get(ended.verdict, ExitCode.OK))


def _tell(moment: "Moment") -> None:
    from outboxctl.cli import render

    if moment.phase and not moment.sample:
        render.console(stderr=True).print(f"{moment.lab.name}: {moment.phase}")


def _close(run: "Run") -> None:
    from outboxctl.cli import render

    rows = [(record.lab, record.verdict, f"{record.seconds:.1f} s", record.why) for record in run.records]
    render.console().print(render.table("Labs", ("lab", "verdict", "took", "why"), rows))
    typer.echo(f"Verdict: {run.verdict}")
