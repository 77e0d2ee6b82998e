"""`docs/contract.md`: the prose of `contract_page.md` with the names that the code has."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tools import contract

TEMPLATE = Path(__file__).with_suffix(".md")


def page() -> str:
    """The page, without the mark of a generated one."""
    return TEMPLATE.read_text().format_map(parts(contract.together(contract.promised(), contract.current())))


def parts(names: contract.Names) -> dict[str, str]:
    """What stands in place of each `{name}` of the template."""
    reasons, keys = names["reasons"][""], names["projection file"]
    return {
        "commands": _table(("command", "arguments and flags"), _commands(names["commands"])),
        "exit_codes": _pairs(("code", "meaning"), names["exit codes"][""]),
        "settings": _pairs(("setting", "type"), names["settings"][""]),
        "environment": "\n".join(_variables(names["commands"])),
        "columns": _table(("table", "columns"), _groups(names["columns"])),
        "reasons": _listed(name for name, kind in reasons.items() if kind == "error_reason"),
        "noops": _listed(name for name, kind in reasons.items() if kind == "no-op"),
        "metrics": _pairs(("metric", "type and labels"), names["metrics"][""]),
        "alerts": _pairs(("alert", "severity"), names["alerts"][""]),
        "findings": _table(("end", "ids"), ((end, _listed(ids)) for end, ids in names["findings"].items())),
        "json": _table(("command", "names"), _documents(names["json"])),
        "projection_keys": _listed(keys["projections.NAME"]),
        "follow_keys": _listed(keys["follow"]),
        "python": _table(("function", "arguments"), _groups(names["python"])),
    }


def _commands(commands: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    for path, named in commands.items():
        yield f"`{path}`", _listed(name for name in named if " " not in name and not name.startswith("$"))


def _variables(commands: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    """A line for each command, or group of commands, with variables of its own."""
    groups: dict[str, dict[str, str]] = {}
    for path, named in commands.items():
        of_flags = {name[1:]: flag for name, flag in named.items() if name.startswith("$")}
        groups.setdefault(" ".join(path.split()[:2]), {}).update(of_flags)
    for group, of_flags in groups.items():
        if of_flags:
            yield f"- `{group} …`: {', '.join(f'`{name}` ({flag})' for name, flag in of_flags.items())}."


def _documents(documents: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    for command, shape in documents.items():
        yield f"`{command}`", _listed(path for path in shape if not set(path) & set(".["))


def _groups(groups: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    for group, names in groups.items():
        yield f"`{group}`", ", ".join(f"`{name}` {_cell(kind)}" for name, kind in names.items())


def _pairs(head: tuple[str, str], names: Mapping[str, str]) -> str:
    return _table(head, ((f"`{name}`", kind) for name, kind in names.items()))


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {name} | {_cell(text)} |" for name, text in rows]
    return "\n".join([f"| {' | '.join(head)} |", "| --- | --- |", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\\\\|", "\\|")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
