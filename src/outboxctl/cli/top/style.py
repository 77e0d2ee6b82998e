"""How the full-screen view looks: the terminal's own two colours, bold, underlined and reversed.

So it reads the same on light and dark terminals, and asks nothing of `NO_COLOR`.
"""

from dataclasses import replace

from textual.theme import BUILTIN_THEMES

OWN = "ansi_default"
ANSI = BUILTIN_THEMES["ansi-dark"]
PLAIN = replace(
    ANSI,
    name="plain",
    primary=OWN,
    secondary=OWN,
    warning=OWN,
    error=OWN,
    success=OWN,
    accent=OWN,
    variables={name: "none" if name.endswith("style") else OWN for name in ANSI.variables}
    | {"footer-key-foreground": OWN},
)
STYLE = """
.text, #figures, #banner, .banner, #workers { padding: 0 1; height: auto; }
#banner, .banner { text-style: reverse; display: none; }
Rows { height: 1fr; background: ansi_default; }
Rows > .datatable--header { background: ansi_default; text-style: bold underline; }
Rows > .datatable--hover { background: ansi_default; }
Rows > .datatable--cursor, Rows:focus > .datatable--cursor {
    background: ansi_default; color: ansi_default; text-style: reverse;
}
* { scrollbar-size: 0 0; }
Note { align: center middle; background: ansi_default; }
.note { width: 78; height: auto; border: round ansi_default; padding: 0 1; }
"""
