"""What the site has and the repository has not: a hook of `mkdocs.yml`.

Each of these pages is a file of a few lines in docs/, so that links hold in the repository too, and says
where to see it; the site has the text that is made here. The example of a run of labs is that of one lab in
the repository, and of all labs on a site that is built after `make lab-example`.
"""

from functools import cache

from benchmarks import report
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from tools import lab_example, reference

EXAMPLE = "labs/example/"
CHARTS = {"report.html": "charts.html"}  # a page of the site may have the name of the former
MORE = "Also [with charts](charts.html), [in Chinese](report.zh.md) and [as JSON](report.json)."


@cache
def built() -> dict[str, str]:
    """Path below docs/ and text of each page that is made for the site."""
    made = {path: text for path, text in reference.pages().items() if path in reference.ON_THE_SITE}
    return made | {"results.md": report.page()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the whole example, if there is one."""
    folder = lab_example.ALL_LABS
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = file.relative_to(folder).as_posix()
        path = EXAMPLE + CHARTS.get(name, name)
        if path not in files.src_uris:
            hidden = InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, path, abs_src_path=str(file), inclusion=hidden))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:  # noqa: ARG001 - passed by its name
    """The text of a page that is made; None where it is that of its file."""
    path, whole = page.file.src_uri, lab_example.ALL_LABS / "report.md"
    if path == EXAMPLE + whole.name and whole.exists():
        return lab_example.noted(whole.read_text(), MORE)
    return built().get(path)
