"""The same of the commands that need a declaration."""

from operations.json_documents import hold, printed
from processes import Cli
from projections.store import Store


def test_the_names_are_there(store: Store, cli: Cli) -> None:
    hold("projection plan", printed(cli, "projection", "plan", str(store.file)))
    store.apply()
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    hold("projection list", printed(cli, "projection", "list"))
    hold("projection show", printed(cli, "projection", "show", "product"))
    hold("projection preview", printed(cli, "projection", "preview", "product", "1"))
