"""The names that scripts rely on, collected from the code, and what was promised before.

`docs/contract/names.json` is the promise: section, group, name and type of everything that may not go or
change without a deprecation (docs/contract.md). `make docs` adds new names to it and never takes one away; a
test fails where the code lacks one, or has another type for it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_args

import typer
from tools import json_shapes

ROOT = Path(__file__).parents[1]
PROMISED = ROOT / "docs" / "contract" / "names.json"
# Section, group, name: type.
Names = dict[str, dict[str, dict[str, str]]]
TABLE = re.compile(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
COLUMN = re.compile(r"^\| `(\w+)` \| ([^|]+?) \|", re.MULTILINE)
# The tables that others may read or write; what outboxctl keeps for itself is open.
TABLES = (
    "search_outbox_events",
    "search_index",
    "outbox_operator_audit",
    "outbox_environment",
    "outbox_workers",
)


def current() -> Names:
    """What the code has. The shapes of JSON are those that have a schema: a test looks at the others."""
    return {
        "commands": dict(_commands()),
        "exit codes": {"": _exit_codes()},
        "settings": {"": dict(_settings())},
        "metrics": {"": dict(_metrics())},
        "alerts": {"": _alerts()},
        "reasons": {"": dict(_reasons())},
        "findings": dict(_findings()),
        "columns": _columns(),
        "python": dict(_python()),
        "projection file": _projection_file(),
        "json": _schemas(),
    }


def promised() -> Names:
    """What `docs/contract/names.json` holds."""
    kept: Names = json.loads(PROMISED.read_text())
    return kept


def together(kept: Names, now: Names) -> Names:
    """What was promised, and what is new; nothing that was promised is changed."""
    return {
        section: {
            group: now.get(section, {}).get(group, {}) | kept.get(section, {}).get(group, {})
            for group in {**kept.get(section, {}), **now.get(section, {})}
        }
        for section in {**kept, **now}
    }


def broken(kept: Names, now: Names) -> Iterator[str]:
    """What was promised and is gone, or has another type."""
    for section, groups in kept.items():
        for group, names in groups.items():
            has = now.get(section, {}).get(group, {})
            for name, kind in names.items():
                if has.get(name) != kind:
                    became = f"is {has[name]!r}" if name in has else "is gone"
                    yield f"{section}: {f'{group} {name}'.strip()} was {kind!r} and {became}"


def text() -> str:
    """`docs/contract/names.json`: a line a command, a table, a JSON document or a section without such."""
    return dumped(together(promised(), current()))


def dumped(names: Names) -> str:
    """A line for each group of a section; sorted."""
    return _block({section: _section(groups) for section, groups in sorted(names.items())}) + "\n"


def _section(groups: Mapping[str, Mapping[str, str]]) -> str:
    lines = {
        group: json.dumps(dict(sorted(names.items())), ensure_ascii=False)
        for group, names in sorted(groups.items())
    }
    return _block(lines, " ")


def _block(lines: Mapping[str, str], indent: str = "") -> str:
    inner = [f"{indent} {json.dumps(key, ensure_ascii=False)}: {value}" for key, value in lines.items()]
    return "{\n" + ",\n".join(inner) + f"\n{indent}}}" if inner else "{}"


def _commands() -> Iterator[tuple[str, dict[str, str]]]:
    from tools.reference import SHELL_OPTIONS, walk

    from outboxctl.cli.app import app

    for path, command in walk("outboxctl", typer.main.get_command(app)):
        named: dict[str, str] = {}
        for parameter in command.params:
            if parameter.name not in SHELL_OPTIONS:
                named |= _parameter(parameter)
        yield path, named


def _parameter(parameter: Any) -> dict[str, str]:
    """Each of its spellings, its variable and its choices, with what may be written there."""
    written = _kind(parameter.type_descriptor.annotation)
    choices = written.split("|") if "|" in written and written != "on|off" else []
    kind = "flag" if getattr(parameter, "is_flag", False) else "choice" if choices else written
    kind += " …" if parameter.multiple or parameter.nargs != 1 else ""
    kind += " required" if parameter.required else ""
    if parameter.param_type_name == "argument":
        return {parameter.name.upper(): kind}
    spelled = [*parameter.opts, *parameter.secondary_opts]
    variables = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or []
    named = dict.fromkeys(spelled, kind)
    named |= {f"{spelled[0]} {each}": "choice" for each in choices}
    return named | {f"${name}": spelled[0] for name in variables}


def _exit_codes() -> dict[str, str]:
    from outboxctl.domain.errors import ExitCode

    return {str(code.value): code.name.lower() for code in ExitCode}


def _settings() -> Iterator[tuple[str, str]]:
    from outboxctl.settings import Settings, all_names, env_names

    for field, about in Settings.model_fields.items():
        for name in env_names(field):
            yield name, _kind(about.annotation)
    for name in sorted(all_names()):
        if name.endswith("_FILE"):
            yield name, "path"


def _kind(annotation: Any) -> str:
    """The type of a setting or flag as a person writes it; the values of a closed set, with `|` between."""
    kinds = set(_parts(annotation))
    for kind in kinds:
        if members := getattr(kind, "__members__", None):
            return "|".join(sorted(member.value for member in members.values()))
    named = ((bool, "on|off"), (int, "integer"), (float, "number"), (Path, "path"))
    return next((name for kind, name in named if kind in kinds), "text")


def _parts(annotation: Any) -> Iterator[Any]:
    """A type, and those of which a union or list of it is made."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _metrics() -> Iterator[tuple[str, str]]:
    from outboxctl.metrics.registry import Metrics

    for name, kind, labels, _ in Metrics().families():
        yield name, f"{kind}({', '.join(labels)})"


def _alerts() -> dict[str, str]:
    from outboxctl.metrics.alerts.model import AlertLimits
    from outboxctl.metrics.alerts.table import alerts

    named: dict[str, list[str]] = {}
    for alert in alerts(AlertLimits()):
        named.setdefault(alert.name, []).append(alert.severity)
    return {name: ", ".join(sorted(severities)) for name, severities in named.items()}


def _reasons() -> Iterator[tuple[str, str]]:
    from outboxctl.domain.reason_texts import NOOP_TEXTS, REASON_TEXTS

    for reason in REASON_TEXTS:
        yield reason.value, "error_reason"
    for noop in NOOP_TEXTS:
        yield str(noop), "no-op"


def _findings() -> Iterator[tuple[str, dict[str, str]]]:
    from outboxctl.operations.doctor import catalogue

    listed = catalogue()
    for end in sorted({end for end, _, _ in listed.values()}):
        yield end, {id_: "finding" for id_, (at, _, _) in listed.items() if at == end}


def _columns() -> dict[str, dict[str, str]]:
    """From the page on the schema, which a test holds equal to a migrated database."""
    page = (ROOT / "docs" / "reference" / "schema.md").read_text()
    columns = {table: COLUMN.findall(rest) for table, rest in TABLE.findall(page)}
    return {table: {name: kind.replace(",", "") for name, kind in columns[table]} for table in TABLES}


def _python() -> Iterator[tuple[str, dict[str, str]]]:
    import outboxctl

    for function in (outboxctl.enqueue, outboxctl.touch):
        shape = signature(function)
        kinds = {name: _argument(given) for name, given in shape.parameters.items()}
        yield function.__name__, kinds | {"returns": _annotated(shape.return_annotation)}


def _argument(given: Parameter) -> str:
    default = "" if given.default is Parameter.empty else f" = {given.default!r}"
    named = " by name" if given.kind is Parameter.KEYWORD_ONLY else ""
    return f"{_annotated(given.annotation)}{default}{named}"


def _annotated(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"\b(?:typing|uuid|collections\.abc|datetime|decimal)\.", "", text)


def _projection_file() -> dict[str, dict[str, str]]:
    from outboxctl.operations.projection.declaration import FOLLOW_KEYS, KEYS

    return {"projections.NAME": dict.fromkeys(KEYS, "key"), "follow": dict.fromkeys(FOLLOW_KEYS, "key")}


def _schemas() -> dict[str, dict[str, str]]:
    from tools.reference import schemas

    return {command: json_shapes.of_schema(schema) for command, schema in schemas().items()}
