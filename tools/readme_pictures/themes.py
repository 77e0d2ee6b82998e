"""The two themes that each picture is drawn in, and the names of the pictures' files."""

from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "assets"
MONOSPACE = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
SANS = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei",'
    ' "Noto Sans CJK SC", sans-serif'
)
ANSI = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white", "brightblack")


@dataclass(frozen=True)
class Theme:
    """Colours on a light or a dark page; `ansi` are a terminal's, by pyte's names."""

    name: str
    page: str
    surface: str
    line: str
    ink: str
    soft: str
    accent: str
    on_accent: str
    ansi: dict[str, str] = field(repr=False, hash=False)

    def file(self, picture: str) -> Path:
        """Where the picture of this name is in this theme."""
        return FOLDER / f"{picture}-{self.name}.svg"

    def colour(self, name: str) -> str:
        """A terminal's colour: a name, `bright` and a name, or six hexadecimal digits."""
        known = self.ansi.get(name) or self.ansi.get(name.removeprefix("bright"))
        return known or f"#{name}"


def _ansi(colours: str) -> dict[str, str]:
    return dict(zip(ANSI, colours.split(), strict=True))


LIGHT = Theme(
    "light",
    page="#ffffff",
    surface="#f6f8fa",
    line="#d1d9e0",
    ink="#1f2328",
    soft="#59636e",
    accent="#2f5fb3",
    on_accent="#ffffff",
    ansi=_ansi("#24292f #cf222e #116329 #9a6700 #0969da #8250df #1b7c83 #6e7781 #57606a"),
)
DARK = Theme(
    "dark",
    page="#0d1117",
    surface="#161b22",
    line="#3d444d",
    ink="#e6edf3",
    soft="#9198a1",
    accent="#79a8f0",
    on_accent="#0d1117",
    ansi=_ansi("#484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #b1bac4 #6e7681"),
)
THEMES = (LIGHT, DARK)
