"""Where a setting is set: a flag, the environment, `.env`, or a file that NAME_FILE names in one of these."""

import os
import stat
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from dotenv import dotenv_values

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import add_setting
from outboxctl.settings.folders import DOTENV, dotenv_usable
from outboxctl.settings.worker import WorkerSettings

SUFFIX = "_FILE"
LARGEST = 65_536  # bytes: no secret is as long, a mistaken path may lead to a disk image
FIELDS = WorkerSettings.model_fields


class Source(StrEnum):
    """Where a value came from."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DOTENV = ".env"
    DEFAULT = "default"


class Origin(NamedTuple):
    """Under which name a setting is set, in which place, and its value; or the path of the file with it."""

    name: str
    place: Source
    value: Any
    path: str | None = None

    @property
    def source(self) -> Source:
        """The place, or that the value came from a file."""
        return Source.FILE if self.path else self.place


Levels = Mapping[Source, Mapping[str, str | None]]  # the settings of each place, by variable


def env_names(field: str) -> list[str]:
    """The environment names of a field, the first one canonical."""
    return str(FIELDS[field].json_schema_extra["names"]).split()  # type: ignore[index]


def is_secret(field: str) -> bool:
    """Whether a field's value may hold a secret."""
    return "SecretStr" in str(FIELDS[field].annotation)


def secrets() -> Iterator[tuple[str, str]]:
    """Each field that may hold a secret, and its name in the environment."""
    return ((field, env_names(field)[0]) for field in FIELDS if is_secret(field))


def all_names() -> set[str]:
    """Every name of a setting, those of secrets' files (NAME_FILE) included."""
    plain = {name for field in FIELDS for name in env_names(field)}
    return plain | {name + SUFFIX for _, name in secrets()}


def levels() -> Levels:
    """The environment before `.env`, where that is read."""
    read = dotenv_values(DOTENV, encoding="utf-8") if dotenv_usable() else {}
    return {Source.ENVIRONMENT: os.environ, Source.DOTENV: read}


def origins(flags: Mapping[str, Any], known: Levels) -> dict[str, Origin]:
    """Where each field that does not have its default is set."""
    return {field: at for field in FIELDS if (at := _origin(field, flags, known))}


def _origin(field: str, flags: Mapping[str, Any], known: Levels) -> Origin | None:
    if (value := flags.get(field)) is not None:
        return Origin(f"--{field.replace('_', '-')}", Source.FLAG, value)
    names = env_names(field)
    for place, level in known.items():
        for name in names:
            if level.get(name):
                return Origin(name, place, level[name])
        if is_secret(field) and (path := level.get(names[0] + SUFFIX)):
            return Origin(names[0] + SUFFIX, place, None, path)
    return None


def variable_of(field: str) -> str:
    """The variable that sets a field, `WORDLOOM_ENV (for OUTBOX_ENV) in .env`; its first name without one."""
    at, first = origins({}, levels()).get(field), env_names(field)[0]
    if at is None:
        return first
    place = " in .env" if at.place is Source.DOTENV else ""
    return (at.name if at.name == first else f"{at.name} (for {first})") + place


def read_file(origin: Origin) -> str:
    """The text of a setting's file without a line end, hidden in output from now on. UsageError."""
    name, path = origin.name, str(origin.path)
    try:
        text = _text(Path(path))
        add_setting(name.removesuffix(SUFFIX), text)
        return text
    except UnicodeDecodeError:
        why = "it is not text"
    except OSError as error:
        why = error.strerror or type(error).__name__
    except ValueError as error:
        why = str(error)
    raise UsageError(
        f"bad setting {name}: cannot read {brief(path, 200)}: {why}",
        hint="it names a file that holds the secret and nothing else",
    )


def _text(path: Path) -> str:
    """The text; ValueError or OSError for anything else: reading a pipe without a writer would not end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is a directory" if stat.S_ISDIR(status.st_mode) else "it is no regular file")
    if status.st_size > LARGEST:
        raise ValueError(f"it is larger than {LARGEST:,} bytes")
    text = path.read_bytes().decode().removesuffix("\n").removesuffix("\r")
    if "\0" in text:
        raise ValueError("it is not text")
    if not text:
        raise ValueError("it is empty")
    return text
