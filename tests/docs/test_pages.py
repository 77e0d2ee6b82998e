"""Every block of every page runs, in order, as somebody would who copies them out."""

from itertools import pairwise
from pathlib import Path

import pytest

from docs.blocks import NEEDS, PAGES, ROOT, RUN, SHOWN, Block, blocks, name, said
from docs.shell import Shell

# It may only get smaller: each of these is a command that nobody knows to work.
SKIPPED = 40
BLOCKS = [block for page in PAGES for block in blocks(page)]
RUNNABLE = [page for page in PAGES if not said(page)[1] and any(each.runs for each in blocks(page))]


@pytest.mark.slow(reason="runs each block of a page as its reader would, in processes of their own")
@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_every_block_runs(page: Path, shell: Shell) -> None:
    for block in blocks(page):
        if block.runs:
            shell.run(block)
        elif block.output:
            text = shell.runs[-1].said
            assert not block.unsaid(text), f"{block}: {block.unsaid(text)}\n{text}"


@pytest.mark.no_servers
def test_no_command_hides_in_a_language_that_is_not_run() -> None:
    assert not [str(each) for each in BLOCKS if each.language not in RUN | SHOWN]


@pytest.mark.no_servers
def test_an_output_is_of_a_block_that_runs() -> None:
    pairs = [pair for page in PAGES for pair in pairwise(blocks(page))]
    assert not [str(block) for before, block in pairs if block.output and not before.runs]


@pytest.mark.no_servers
def test_few_blocks_are_not_run_and_each_says_why() -> None:
    skipped = [each for each in BLOCKS if each.skipped]
    listed = "\n".join(f"{each}: {each.info} {each.text.strip()}" for each in skipped)
    assert len(skipped) <= SKIPPED, listed
    assert not [str(each) for each in skipped if not _reason(each)]


def _reason(block: Block) -> str:
    """Why it is not run: what follows `no-test:`, else the prose before it."""
    return block.info.removeprefix("no-test").strip(": ") or block.before.lstrip("#`|").strip()


@pytest.mark.no_servers
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_says_of_itself_is_so(page: Path) -> None:
    needs, other = said(page)
    assert needs <= NEEDS.keys()
    assert other is None or page.name in (ROOT / other).read_text()
