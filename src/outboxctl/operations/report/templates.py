"""The templates of pages and pictures, by Jinja2: one way to read them all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def templates(module: str, *, escape: bool = True, **options: Any) -> "Environment":
    """The templates in the folder `templates` beside a module's file; a name that is missing raises.

    `escape` is off only where a template escapes by filters of its own. `options` are more of Jinja2's.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for pages alone

    return Environment(
        autoescape=escape,  # noqa: S701 - on, unless the template sees to it
        loader=FileSystemLoader(Path(module).parent / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        **options,
    )
