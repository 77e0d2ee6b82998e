"""The arguments of `lab run`: --set, --worker, --evidence."""

import os
import shlex
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outboxctl.cli import parse
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from collections.abc import Sequence

# Set by a lab itself.
NOT_SET = {"database_url", "environment", "worker_id", "metrics_port", "metrics_host"}
NOT_SET |= {"read_only"}  # set by the caller
HOME = Path("lab-evidence")


def overrides(options: "Sequence[str]") -> dict[str, str]:
    """Settings by environment name, of `--set NAME=VALUE`. UsageError for unknown names and bad values."""
    from pydantic import ValidationError

    from outboxctl.drills.scratch.settings import by_field, fixed
    from outboxctl.settings import Settings, env_names

    fields = [f for f in Settings.model_fields if f not in NOT_SET and not f.startswith("elastic_")]
    known = [name for field in fields for name in env_names(field)]
    values = dict(_pair(each) for each in options)
    for name in values:
        parse.one_of("--set", name, known, "setting")
    for name, value in values.items():
        try:
            fixed(by_field({name: value}))
        except ValidationError as error:
            why = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"--set: bad setting {name} {brief(repr(value), 80)}: {why}") from None
    return values


def _pair(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals or not name:
        hint = "for example --set OUTBOX_LEASE_SECONDS=10"
        raise UsageError(f"--set: expected NAME=VALUE, got {brief(repr(option), 80)}", hint=hint)
    return name, value


def command(text: str | None) -> list[str] | None:
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


def evidence(path: Path | None) -> Path:
    """A folder for evidence that is not there yet, or empty; by default named after the time. UsageError."""
    folder = path or HOME / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"--evidence: {folder} is not empty", hint="name a new folder for each run")
    return folder.absolute()
