"""Make the READMEs' pictures again: `make pictures`; some of them: `make pictures PICTURES="demo top"`."""

import sys
from collections.abc import Callable

from tools.readme_pictures import film, lab_page, pipeline, scenes, window
from tools.readme_pictures.names import LAB
from tools.readme_pictures.themes import FOLDER, THEMES


def _pipeline() -> None:
    for name, words in (("pipeline", pipeline.ENGLISH), ("pipeline-zh", pipeline.CHINESE)):
        for theme in THEMES:
            theme.file(name).write_text(pipeline.picture(words, theme))


def _demo() -> None:
    writes = scenes.demo()
    for theme in THEMES:
        text = film.film(" ".join(scenes.DEMO), writes, scenes.COLUMNS, scenes.LINES, theme)
        theme.file("demo").write_text(text)


def _top() -> None:
    look = scenes.top()
    for theme in THEMES:
        theme.file("top").write_text(window.picture("outboxctl top", look, scenes.COLUMNS, theme))


def _lab() -> None:
    report = scenes.lab()
    for name, language in (("lab", "en"), ("lab-zh", "zh")):
        for theme in THEMES:
            theme.file(name).write_text(lab_page.picture(report, LAB, language, theme))


MADE: dict[str, Callable[[], None]] = {"pipeline": _pipeline, "demo": _demo, "top": _top, "lab": _lab}


def main() -> None:
    """Draw those that are named, all of them by default."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or MADE:
        MADE[name]()


if __name__ == "__main__":
    main()
