from uuid import UUID

import pytest

from outboxctl.drills.demo.documents import Docstring, collect

pytestmark = pytest.mark.no_servers


@pytest.fixture(scope="module")
def documents() -> list[Docstring]:
    return collect()


def test_each_has_a_name_an_id_and_a_text_of_its_own(documents: list[Docstring]) -> None:
    assert len({d.name for d in documents}) == len({d.entity_id for d in documents}) == len(documents)
    assert all(d.text.strip() and "\0" not in d.text for d in documents)
    assert all(d.snippet.startswith(d.name) and "\n" not in d.snippet for d in documents)


def test_nothing_private_and_no_tests_of_python_itself(documents: list[Docstring]) -> None:
    parts = {part for d in documents for part in d.name.split(".")}
    assert not {part for part in parts if part.startswith("_")}
    assert not parts & {"idlelib", "lib2to3"}


def test_modules_classes_functions_and_methods_are_there(documents: list[Docstring]) -> None:
    names = {d.name for d in documents}
    assert {"json", "os.makedirs", "tarfile.TarFile.open", "json.decoder.JSONDecoder"} <= names


def test_an_id_is_the_same_in_every_run_on_every_machine() -> None:
    assert Docstring("json.dumps", "Any text.", "json").entity_id == UUID(
        "332debd5-913f-56f1-a7fe-db63a2d75aaf"
    )


def test_a_snippet_is_the_name_and_the_first_sentence() -> None:
    text = "Open a file\nfor reading. Raise an error otherwise.\n\nMore of it."
    assert Docstring("io.open", text, "io").snippet == "io.open: Open a file for reading."
