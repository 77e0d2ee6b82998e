"""The head of an arrow in the pictures that are drawn from tables of boxes."""

from markupsafe import Markup

from outboxctl.operations.report.svg import element


def arrowhead(colour: str) -> Markup:
    """A marker of the name `end`; at the start of a line it points the other way."""
    path = element("path", d="M0 0L8 4L0 8z", fill=colour)
    place: dict[str, str | float] = {
        "viewBox": "0 0 8 8",
        "refX": 7,
        "refY": 4,
        "markerWidth": 8,
        "markerHeight": 8,
    }
    return element("marker", path, id="end", **place, orient="auto-start-reverse")
