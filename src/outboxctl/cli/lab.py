"""`lab`: drills with a verdict and evidence: what there is, running them, and the last run again."""

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outboxctl.cli import parse, rendering
from outboxctl.cli.options import Json, NotProduction, group
from outboxctl.cli.services import Search
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from rich.table import Table

    from outboxctl.drills.labs import Lab
    from outboxctl.drills.labs.model import LabRun
    from outboxctl.drills.labs.run import LabPlace

HOME = Path("lab-evidence")
COLOURS = {"OK": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}
CODES = {"OK": ExitCode.OK, "FAIL": ExitCode.FINDINGS, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}
BEFORE = (
    "# if you have no system for it yet:",
    'eval "$(outboxctl services up)"; OUTBOX_ENV=dev outboxctl db upgrade',
)
# Settings that --set may not name: a lab sets them itself, or the caller does.
NOT_SET = {"database_url", "environment", "worker_id", "metrics_port", "metrics_host", "read_only"}
TASK = "run labs"
MAX_LINE = 400  # characters of a line with a name, which is 255 bytes at most
FAULTS = (
    "Faults: a proxy on this machine before the sink, for each lab's workers alone; kills and pauses, for "
    "workers that the lab starts here; rows in the lab's own schema and index."
)


class Lang(StrEnum):
    """The languages of the labs."""

    EN = "en"
    ZH = "zh"


Language = Annotated[Lang, typer.Option("--lang", help="Language of what the labs say.")]
Say = partial[str]  # a message in the language that was asked for
app = group("Drills that break the pipeline on purpose, with a verdict.")


@app.command("list")
def list_labs(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One lab, or its number: its whole page.")
    ] = None,
    lang: Language = Lang.EN,
    json: Json = False,
) -> None:
    """List every lab with its question; those with a number are the lab document's.

    With NAME show what that lab asks, expects and sets, and the commands that do the same by hand.

    Example: outboxctl lab list

    Example: outboxctl lab list kill-and-heal --lang zh
    """
    from outboxctl.drills.labs.catalogue import LABS

    labs, say = list(LABS) if name is None else _chosen([name]), _in(lang)

    def lines() -> Iterator[Any]:
        if name is None:
            rows = [(lab.number, lab.name, f"{lab.seconds:g} s", say(lab.question)) for lab in labs]
            heads = [say(head) for head in ("no.", "name", "takes", "question")]
            yield rendering.table(say("Labs"), heads, rows)
        else:
            for lab in labs:
                yield from _page(lab, say, lang)

    rendering.show({"labs": [_as_json(lab, say, lang) for lab in labs]}, lines, json=json)


@app.command()
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
    from outboxctl.cli.chaos import print_line, undo_killed_runs
    from outboxctl.drills.labs.evidence import EvidenceFolder
    from outboxctl.drills.labs.run import Runner, own_place
    from outboxctl.drills.scratch import own_folder
    from outboxctl.drills.signals import SignalReceived

    labs, overrides = _chosen(names), _overrides(set_ or [])
    command, path, say = _worker(worker), _evidence(evidence), _in(lang)
    if against and search is not Search.AUTO:
        raise UsageError("--search: with --against the search engine is that of ELASTIC_URL")
    undo_killed_runs()
    try:
        with own_folder("lab", print_line) as folder:
            if against:
                place = _confirmed(labs, folder.path, overrides, worker=worker, yes=yes, sure=sure)
            else:
                place = own_place(folder.path, search.value, overrides, print_line)
            runner = Runner(place, EvidenceFolder(path, lang), lambda text: print_line(say(text)), command)
            ended = runner.run(labs)
    except SignalReceived as arrived:
        raise typer.Exit(arrived.code) from None
    rendering.show(ended, lambda: _result(ended, path, say), json=json)
    raise typer.Exit(128 + folder.signals[0] if folder.signals else CODES[ended.verdict])


@app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Evidence of a run, or a folder of such: its newest run."),
    ] = HOME,
    lang: Language = Lang.EN,
    json: Json = False,
) -> None:
    """Show the newest run's result, and where its page of charts is; exits as that run did.

    Example: outboxctl lab report
    """
    from outboxctl.drills.labs.evidence import load, newest

    path = newest(folder)
    ended = load(path)
    rendering.show(ended, lambda: _result(ended, path, _in(lang)), json=json)
    raise typer.Exit(CODES[ended.verdict])


def _in(lang: str) -> Say:
    from outboxctl.drills.labs.messages import in_language

    return partial(in_language, language=lang)


def _chosen(names: Sequence[str]) -> "list[type[Lab]]":
    """Return the labs of these names or numbers, each once; `all` and `core` are groups. UsageError."""
    from outboxctl.drills.labs.catalogue import CORE, LABS

    numbers = {str(lab.number): lab.name for lab in CORE}
    groups = {"all": LABS, "core": CORE} | {lab.name: (lab,) for lab in LABS}
    words = [parse.one_of("NAME", numbers.get(name, name), [*groups], "lab") for name in names]
    return [lab for lab in LABS if any(lab in groups[word] for word in words)]


def _as_json(lab: "type[Lab]", say: Say, lang: str) -> dict[str, Any]:
    """Return a lab as JSON, its texts in one language."""
    from outboxctl.drills.labs.messages import command

    return {
        "name": lab.name,
        "number": lab.number,
        **{name: say(getattr(lab, name)) for name in ("title", "question", "hypothesis")},
        "settings": dict(lab.settings),
        "seconds": lab.seconds,
        "by_hand": [command(line, lang) for line in lab.by_hand],
    }


def _page(lab: "type[Lab]", say: Say, lang: str) -> Iterator[Any]:
    """Return the lines of a lab's page; commands are never wrapped."""
    from rich.text import Text

    from outboxctl.drills.labs.messages import command

    exports = [f"export {name}={shlex.quote(value)}" for name, value in lab.settings.items()]
    commands = {"Settings": exports} if exports else {}
    commands |= {"By hand": [*BEFORE, *lab.by_hand], "Run it": [f"outboxctl lab run {lab.name}"]}
    number = f"{lab.number}. " if lab.number else ""
    yield Text(f"{number}{lab.name} ({lab.seconds:g} s)", style="bold")
    yield say(lab.title)
    for label, text in {"Question": lab.question, "Hypothesis": lab.hypothesis}.items():
        yield Text(f"\n{say(label)}", style="bold")
        yield rendering.Item(say(text))
    for label, lines in commands.items():
        yield Text(f"\n{say(label)}", style="bold")
        yield rendering.Unbroken("\n".join(f"  {command(line, lang)}" for line in lines))


def _result(run: "LabRun", folder: Path, say: Say) -> Iterator[Any]:
    """Return the lines of a run: verdicts, unmet checks, conclusions, and where to read more."""
    from rich.text import Text

    from outboxctl.drills.labs.evidence import PAGE
    from outboxctl.drills.labs.page import STATES

    if state := STATES.get(run.state):
        yield say(state)
    yield _verdicts(run, say)
    unmet = [
        (each.lab, say(check.phase), say(check.name), check.expected, check.seen)
        for each in run.records
        for check in each.unmet
    ]
    if unmet:
        heads = [say(head) for head in ("lab", "phase", "check", "expected", "seen")]
        yield rendering.table(say("Not met"), heads, unmet)
    for record in run.records:
        if record.conclusion:
            yield Text(say(f"Conclusion of {record.lab}"), style="bold")
        for name, value in record.conclusion.items():
            yield rendering.Unbroken(rendering.cell(f"  {say(name)}: {say(value)}"))
    yield ""
    yield Text(say(f"Verdict: {run.verdict}"), style=COLOURS[run.verdict])
    yield rendering.Unbroken(say(f"Evidence: {folder}"))
    if (folder / PAGE).exists():
        yield rendering.Unbroken(say(f"Charts: {folder / PAGE}"))


def _verdicts(run: "LabRun", say: Say) -> "Table":
    from rich.text import Text

    rows = [(each.lab, each.verdict, f"{each.seconds:.1f} s", say(each.why)) for each in run.records]
    table = rendering.table(say("Labs"), [say(head) for head in ("lab", "verdict", "took", "why")], rows)
    for cell in table.columns[1].cells:
        if isinstance(cell, Text):
            cell.style = COLOURS[cell.plain]
    return table


def _overrides(options: Sequence[str]) -> dict[str, str]:
    """Return settings by environment name, of `--set NAME=VALUE`. UsageError for what is none."""
    from pydantic import ValidationError

    from outboxctl.drills.scratch import by_field, fixed
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
    """Return the words of `--worker`, file names absolute, for labs run in another folder. UsageError."""
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
    """Return a folder for evidence that does not exist yet, or is empty; by default named after the time."""
    folder = path or HOME / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"--evidence: {folder} is not empty", hint="name a new folder for each run")
    return folder.absolute()


def _confirmed(
    labs: "Sequence[type[Lab]]",
    home: Path,
    overrides: Mapping[str, str],
    *,
    worker: str | None,
    yes: bool,
    sure: bool,
) -> "LabPlace":
    """Return the user's own system, once what labs make there is shown and confirmed. UsageError."""
    from outboxctl.cli.guards import confirm, database
    from outboxctl.cli.options import settings
    from outboxctl.drills.faults.gate import allow
    from outboxctl.drills.labs.run import LabPlace

    used = settings()
    with database(used) as db:
        allow(used, TASK, sure=sure)
        place = LabPlace(used, home, overrides)
        with suppress(BrokenPipeError):  # stderr is closed: only --yes can confirm
            _show_plan(place, labs, db.name, worker)
        confirm(used, db, TASK, yes=yes, always=True)
    return place


def _show_plan(place: "LabPlace", labs: "Sequence[type[Lab]]", database: str, worker: str | None) -> None:
    """Print what will be made where, and which faults; names are never cut, so that they can be copied."""
    from outboxctl.core.schema.namespaces import schema_of
    from outboxctl.net.urls import mask

    out, versions = rendering.console(stderr=True), place.versions
    sink = mask(place.settings.sink_urls[0])
    out.print(f"Database {database} ({versions['postgres']}), sink {sink} ({versions['search']}).")
    out.print("These are made there, and removed at the end:")
    for names in map(place.names, labs):
        out.print(rendering.cell(f"  schema {names.schema}, index {names.index}", MAX_LINE), soft_wrap=True)
    out.print("Each lab writes some hundreds of events of its own.")
    out.print(FAULTS)
    if worker is None:
        out.print("Nothing else is touched.")
        return
    schema = schema_of(place.settings.require_database_url())  # without the search path
    where = f"in schema {brief(schema, 100)}" if schema else "wherever your role's search path leads"
    risk = (
        f"--worker {brief(worker, 200)} gets DATABASE_URL with options=-csearch_path=SCHEMA of its lab, and"
        f" must honour it: else it delivers, fails and deletes your own events {where}. They are at risk."
    )
    out.print(rendering.cell(risk), style="bold")
