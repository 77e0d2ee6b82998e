import pytest

from outboxctl.drills.demo.documents import Docstring, collect

pytestmark = pytest.mark.no_servers


@pytest.fixture(scope="module")
def documents() -> list[Docstring]:
    return collect()


def test_each_has_a_name_and_a_text_of_its_own(documents: list[Docstring]) -> None:
    assert len({d.name for d in documents}) == len(documents)
    assert all(d.text.strip() and "\0" not in d.text for d in documents)
    assert all(d.content.startswith(d.name) and "\n" not in d.content for d in documents)


def test_modules_classes_functions_and_methods_are_there(documents: list[Docstring]) -> None:
    names = {d.name for d in documents}
    assert {"json", "os.makedirs", "tarfile.TarFile.open", "json.decoder.JSONDecoder"} <= names
