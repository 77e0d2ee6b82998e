"""Secrets in files, as Docker and Kubernetes provide them: NAME_FILE is the path of NAME's value."""

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief
from outboxctl.domain.redaction import add_setting

SUFFIX = "_FILE"
LARGEST = 65_536  # bytes: no secret is as long, a mistaken path may lead to a disk image


def refuse_both(names: Iterable[str], level: Mapping[str, str | None]) -> None:
    """UsageError where one level has a value and a file for a setting: which is meant cannot be decided."""
    for name in names:
        if level.get(name) and level.get(name + SUFFIX):
            raise UsageError(f"both {name} and {name}{SUFFIX} are set", hint="unset one of them")


def read(name: str, path: str) -> str:
    """The text in the file of the setting `name`, without a line end; it is hidden in output from now on.

    UsageError, naming both, for what is no regular file of text that can be read.
    """
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
