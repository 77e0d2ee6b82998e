"""`lab run`: the labs, one verdict, and the exit code that goes with it."""

import os
import shlex
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outboxctl.cli import parse
from outboxctl.cli.lab.catalogue import Lang, Language, chosen
from outboxctl.cli.lab.report import CODES, HOME, show
from outboxctl.cli.options import Json, NotProduction
from outboxctl.cli.services import Search
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Sequence


# Set by a lab itself, or by the caller.
NOT_SET = {"database_url", "environment", "worker_id", "metrics_port", "metrics_host", "read_only"}


def run(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Labs, or their numbers, `core` or `all`."),
    ],
    search: Annotated[Search, typer.Option(help="Which search engine.")] = Search.AUTO,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="A new folder [default: lab-evidence/<UTC time>].")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting that replaces every lab's; repeatable."),
    ] = None,
    worker: Annotated[
        str | None, typer.Option("--worker", metavar="COMMAND", help="Another build of the worker.")
    ] = None,
    against: Annotated[
        bool,
        typer.Option("--against", help="On the system that DATABASE_URL and ELASTIC_URL lead to."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --against.")] = False,
    sure: NotProduction = False,
    lang: Language = Lang.EN,
    json: Json = False,
) -> None:
    """Run labs on services of their own and give a verdict: exit 0 if OK, 4 if FAIL, 5 if INCONCLUSIVE.

    With --against they run on your own staging system, in schemas and indexes of their own. --set and
    --worker try other settings, or another build of the worker, before they are deployed.

    Example: outboxctl lab run all --set OUTBOX_LEASE_SECONDS=5 --worker '.venv-new/bin/outboxctl worker'
    """
    from outboxctl.cli.chaos.ledger import recover, say
    from outboxctl.cli.lab.against import confirmed
    from outboxctl.drills.labs.evidence import EvidenceFolder
    from outboxctl.drills.labs.messages import in_language
    from outboxctl.drills.labs.place import own_place
    from outboxctl.drills.labs.run import Runner
    from outboxctl.drills.scratch.folder import own_folder
    from outboxctl.drills.signals import SignalReceived

    labs, overrides = chosen(names), _overrides(set_ or [])
    command, path = _worker(worker), _evidence(evidence)
    if against and search is not Search.AUTO:
        raise UsageError("--search: with --against the search engine is that of ELASTIC_URL")
    recover()
    try:
        with own_folder("lab", say) as folder:
            if against:
                place = confirmed(labs, folder.path, overrides, worker=worker, yes=yes, sure=sure)
            else:
                place = own_place(folder.path, search.value, overrides, say)
            runner = Runner(place, EvidenceFolder(path), lambda text: say(in_language(text, lang)), command)
            ended = runner.run(labs)
    except SignalReceived as arrived:
        raise typer.Exit(arrived.code) from None
    show(ended, path, lang, json=json)
    raise typer.Exit(128 + folder.signals[0] if folder.signals else CODES[ended.verdict])


def _overrides(options: "Sequence[str]") -> dict[str, str]:
    """Settings by environment name, of `--set NAME=VALUE`. UsageError for unknown names and bad values."""
    from pydantic import ValidationError

    from outboxctl.drills.scratch.settings import by_field, fixed
    from outboxctl.settings import Settings, env_names, is_secret

    # No secret: evidence shows them.
    fields = [f for f in Settings.model_fields if f not in NOT_SET and not is_secret(f)]
    known = [name for field in fields if not field.startswith("elastic_") for name in env_names(field)]
    values: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            hint = "for example --set OUTBOX_LEASE_SECONDS=10"
            raise UsageError(f"--set: expected NAME=VALUE, got {brief(repr(option), 80)}", hint=hint)
        values[parse.one_of("--set", name, known, "setting")] = value
        try:
            fixed(by_field({name: value}))
        except ValidationError as error:
            why = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"--set: bad setting {name} {brief(repr(value), 80)}: {why}") from None
    return values


def _worker(text: str | None) -> list[str] | None:
    """The words of `--worker`; file names are made absolute, for labs run in another folder. UsageError."""
    if text is None:
        return None
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--worker: {error}: {brief(repr(text), 80)}") from None
    if not words or not shutil.which(words[0]):
        hint = "for example --worker '.venv-new/bin/outboxctl worker'"
        raise UsageError(f"--worker: no such program: {brief(repr(text), 80)}", hint=hint)
    return [os.path.abspath(word) if os.path.isfile(word) else word for word in words]


def _evidence(path: Path | None) -> Path:
    """A folder for evidence that is not there yet, or empty; by default named after the time. UsageError."""
    folder = path or HOME / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"--evidence: {folder} is not empty", hint="name a new folder for each run")
    return folder.absolute()
