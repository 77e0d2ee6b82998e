"""Pictures of the pages: no text is cut off, for one that has no room is refused."""

import pytest
from tools.pictures.chain import Chain, Link, chains
from tools.pictures.sequence import Actor, Message, Remark, sequence

pytestmark = pytest.mark.no_servers
LONG = "a sentence that is much too long for any picture " * 3
ACTORS = [Actor("worker"), Actor("engine")]


@pytest.mark.parametrize("step", [Message(0, 1, LONG), Remark(LONG)], ids=["message", "remark"])
def test_a_sequence_refuses_a_text_without_room(step: Message | Remark) -> None:
    with pytest.raises(ValueError, match="no room in a picture for: a sentence"):
        sequence("title", ACTORS, [step])


@pytest.mark.parametrize(
    "link", [Link("plain", [LONG]), Link("plain", ["box"], [LONG])], ids=["box", "below"]
)
def test_a_chain_refuses_a_text_without_room(link: Link) -> None:
    with pytest.raises(ValueError, match="no room in a picture for: a sentence"):
        chains("title", [Chain("", [link])])


def test_what_is_written_in_a_picture_is_escaped() -> None:
    drawn = sequence("<title>", ACTORS, [Message(0, 1, "a < b")])
    assert "<text" in drawn
    assert "a &lt; b" in drawn
    assert "&lt;title&gt;" in drawn
