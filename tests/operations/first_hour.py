"""A new user's first hour, from ten tables to a search: recorded as the session on call is.

`make transcript` writes the page. The user's files are those in docs/projections-session.
"""

import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import psycopg
from elasticsearch import Elasticsearch

import servers
from operations.recorders import Record, by_pty, by_tmux
from outboxctl.drills import services
from processes import Worker, environment, eventually, start_worker

PAGE = Path(__file__).parents[2] / "docs" / "projections-session.md"
FILES = PAGE.with_suffix("")
INDEX = "products"
NAMED = (f"/{INDEX}/_search", f"--index {INDEX}")  # where a command names the index
AUDITED = "--by ada --reason"
SEARCH = """curl -sw '\\n' "$ELASTIC_URL/products/_search?{}&filter_path=hits.hits._source.name\""""
REBUILD = f"outboxctl rebuild --projection products {AUDITED}"
TABLES = "shop.products shop.brands shop.categories shop.variants shop.prices shop.reviews shop.customers"
INTRODUCTION = f"""\
# A new user's first hour

<!-- Recorded by `make transcript`; a test records it again and compares. -->
<!-- page: run by tests/operations/test_first_hour.py -->

From a schema of ten tables to a search with nested children, and to what comes later: a
category is renamed, a column is added, an index is rebuilt. Typed in tmux, 80 columns wide, on a real
PostgreSQL and a real Elasticsearch; the mistakes are those that a first reader made. Times, random ids and
the address of the database are replaced by fixed ones. [Projections](projections.md) says what each command
does; the [tutorial](tutorial.md) is a shorter way through, on servers that it starts itself.

The shop sells tents and jackets. It has `brands`, `categories` (a tree), `products`, `product_categories`,
`variants`, `prices`, `customers`, `reviews`, `orders` and `order_items`: [shop.sql]({FILES.name}/shop.sql).
`DATABASE_URL` and `ELASTIC_URL` are exported, and `outboxctl` is installed.
"""


@dataclass(frozen=True)
class Scene:
    """What is said, the file that is edited then, and what is typed.

    `when` is what happens before: `worker` starts one in another terminal, `delivered` waits until nothing is
    due and the engine shows it, `ended` ends the worker. `writing`: the shop sells meanwhile.
    """

    said: str
    typed: str = ""
    file: str = ""
    when: str = ""
    writing: bool = False


STORY = (
    Scene("The shop, as it is:", "psql $DATABASE_URL -q -f shop.sql"),
    Scene("The tables of outboxctl come first. Nothing of the shop is touched.", "outboxctl db upgrade"),
    Scene("## What is a document?\n\nA first try:", "outboxctl projection init products"),
    Scene("With its schema, then.", "outboxctl projection init shop.products"),
    Scene(
        "It says what else there is. Orders are no part of this search; the rest is. `--out` makes files.",
        f"outboxctl projection init {TABLES} --index products --out .",
    ),
    Scene("The SELECT, a row a document, children as arrays of objects:", "cat products.sql"),
    Scene(
        "In an editor: what the shop paid goes out, and so do e-mail addresses and ids; a brand is a text;"
        " a category has the name of the one above it; only active products are found.",
        file="products.sql",
    ),
    Scene("Is that right so far?", "outboxctl projection plan products.toml"),
    Scene(
        "The mapping was made for the first SELECT. What it does not name is derived from the columns, so it"
        " holds what is nested and no more. Variants become `nested`: color and size of one and the same.",
        file="products.mapping.json",
    ),
    Scene("Again:", "outboxctl projection plan products.toml; echo exit $?"),
    Scene(
        "All tables are followed by themselves: the joins of the SELECT say how, for a category and for the"
        " one above it. What `plan` warns of would cost a read of a whole table, for each change or for each"
        " document. Its statements, copied:",
        'psql $DATABASE_URL -c "CREATE INDEX CONCURRENTLY ON shop.reviews (product_id)"'
        ' -c "CREATE INDEX CONCURRENTLY ON shop.reviews (customer_id)"'
        ' -c "CREATE INDEX CONCURRENTLY ON shop.products (brand_id)"'
        ' -c "CREATE INDEX CONCURRENTLY ON shop.product_categories (category_id)"'
        ' -c "CREATE INDEX CONCURRENTLY ON shop.categories (parent_id)"',
    ),
    Scene("Again; no warning is left:", "outboxctl projection plan products.toml | grep -c warning"),
    Scene("## In force", f"outboxctl projection apply products.toml {AUDITED} 'product search'"),
    Scene(
        "From here on each change of the eight tables writes an event. The first fill is a rebuild here, as"
        " for a million products; for eleven a worker alone would do.",
        f"{REBUILD} 'first fill' --yes",
    ),
    Scene(
        "Tents in a gale, by the text of a review:", SEARCH.format("q=reviews.body:gale"), when="delivered"
    ),
    Scene("Red things of size M need a query of the engine:", file="red-m.json"),
    Scene(
        "One variant must be both. A red jacket of size S and a black one of size M would not do.",
        SEARCH.format("").replace("?&", "?") + " -H content-type:application/json -d @red-m.json",
    ),
    Scene(
        "## A category is renamed",
        "psql $DATABASE_URL -c \"UPDATE shop.categories SET name = 'Outdoor living' WHERE name = 'Camping'\"",
    ),
    Scene(
        "No product is in that category itself; seven are in those below it. No worker runs yet, so the index"
        " is behind. What would be sent?",
        "outboxctl projection preview products 7; echo exit $?",
    ),
    Scene(
        "In a second terminal `outboxctl worker` runs from here on. In the first one, all seven have it:",
        SEARCH.format("q=categories.parent:outdoor&sort=id"),
        when="worker",
    ),
    Scene(
        "## A column is added",
        'psql $DATABASE_URL -c "ALTER TABLE shop.products ADD weight_g int"'
        " -c \"UPDATE shop.products SET weight_g = 95 WHERE name = 'Fiamma'\"",
    ),
    Scene(
        "The documents do not have it yet, and nothing has broken. It goes into the SELECT:",
        "sed -i.bak 's/products.released_on,/products.released_on, products.weight_g,/' products.sql",
    ),
    Scene("What it means for the index:", "outboxctl projection plan products.toml", when="delivered"),
    Scene("Added in place.", f"outboxctl projection apply products.toml {AUDITED} weight"),
    Scene(
        "Which products weigh less than 100 g?",
        SEARCH.format("q=weight_g:<100&sort=id").replace("<", "%3C"),
        when="delivered",
    ),
    Scene(
        "PostgreSQL refuses to drop a column that the view reads:",
        'psql $DATABASE_URL -c "ALTER TABLE shop.products DROP COLUMN weight_g"',
    ),
    Scene(
        "## A rebuild behind the alias\n\nReviews shall be counted by customer. For that a name is a keyword:"
        " another type, which no engine changes in an index that is there.",
        "sed -i.bak '/customer/s/text/keyword/' products.mapping.json",
    ),
    Scene("`plan` says so:", "outboxctl projection plan products.toml | tail -n 5"),
    Scene("So it is declared,", f"outboxctl projection apply products.toml {AUDITED} 'count by customer'"),
    Scene(
        "and a new index filled. Meanwhile the shop goes on selling: a script changes `stock` all the time."
        " Searches go to the old index until the new one has it all.",
        f"{REBUILD} 'count by customer' --yes",
        writing=True,
    ),
    Scene("The query,", file="by-customer.json"),
    Scene(
        "which the old index would have refused:",
        "curl -sw '\\n' \"$ELASTIC_URL/products/_search?filter_path=aggregations.*.buckets\""
        " -H content-type:application/json -d @by-customer.json",
        when="delivered",
    ),
    Scene("Both sides compared, row by row:", "outboxctl verify --projection products"),
    Scene("## What is in force", "outboxctl projection list"),
    Scene("", "outboxctl projection show products"),
    Scene("The worker is ended, by ^C. What is left to do?", "outboxctl status", when="ended"),
)
END = """\
These were {count} commands and four files. What becomes of a document that fails is in
[projections](projections.md#when-something-fails). Where no triggers may be made, the application says
what it has changed: [apply --no-triggers](producing.md#a-projection-without-triggers).
"""


@dataclass
class Hour:
    """A database, an index, a folder and what runs beside the terminal."""

    url: str
    engine: Elasticsearch
    index: str
    env: dict[str, str]
    cwd: Path
    worker: Worker | None = None
    random: dict[str, str] = field(default_factory=dict)

    def page(self, record: Record) -> str:
        """The whole session in Markdown; `record` runs a command and returns what the terminal shows."""
        parts = [INTRODUCTION]
        for scene in STORY:
            self._before(scene.when)
            parts.append(f"{scene.said}\n" if scene.said else "")
            if scene.file:
                parts.append(self._edited(scene.file))
            if scene.typed:
                with self._selling() if scene.writing else nullcontext():
                    shown = "\n".join(record(self._named(scene.typed))).strip("\n")
                parts.append(f"```console\n$ {scene.typed}\n{shown}".rstrip("\n") + "\n```\n")
        parts.append(END.format(count=sum(bool(scene.typed) for scene in STORY)))
        return self._fixed("\n".join(filter(None, parts)))

    def _before(self, when: str) -> None:
        if when == "worker":
            self.worker = start_worker(self.env, self.cwd, services.fresh_port())
        if when and self.worker:
            eventually(self._idle, what="nothing is due")
        if when == "ended" and self.worker:
            self.worker.signal()
            self.worker.wait()
        if when:
            self.engine.indices.refresh(index=self.index)

    def _idle(self) -> bool:
        with psycopg.connect(self.url) as sql:
            waiting = "SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing')"
            return sql.execute(waiting).fetchone() is None

    @contextmanager
    def _selling(self) -> Iterator[None]:
        """Change rows all the time, in a thread."""
        over = Event()

        def sell() -> None:
            with psycopg.connect(self.url, autocommit=True) as sql:
                while not over.wait(0.02):
                    sql.execute("UPDATE shop.variants SET stock = 20 + stock % 7 WHERE id % 3 = 0")

        thread = Thread(target=sell)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _edited(self, name: str) -> str:
        """Save the user's file; a block that shows it."""
        content = (FILES / name).read_text()
        (self.cwd / name).write_text(self._named(content))
        return f'```{name.rpartition(".")[2]} title="{name}"\n{content}```\n'

    def _named(self, text: str) -> str:
        for words in NAMED:
            text = text.replace(words, words.replace(INDEX, self.index))
        return text

    def _fixed(self, text: str) -> str:
        text = text.replace(self.index, INDEX)
        text = text.replace(self.env["ELASTIC_URL"], "http://127.0.0.1:9200")
        text = re.sub(r"[^\s/]+/" + self.url.rpartition("/")[2], "127.0.0.1:5432/shop", text)
        text = re.sub(r"20\d\d-\d\d-\d\d([ T\n])\d\d:\d\d:\d\dZ", r"2026-02-03\g<1>10:00:00Z", text)
        text = re.sub(r"\b\d\.\d s\b", "0.1 s", text)
        text = re.sub(r"\b\d+\.\d\d ms\b", "0.10 ms", text)
        text = re.sub(r"[ \d.]{4}→[ \d.]{4}", " 1.0→ 9.0", text)
        text = re.sub(r"\b[1-9]\d* sent again", "25 sent again", text)
        text = re.sub(
            r"(?<=^ done ) +[\d,]+$", lambda m: "1,234".rjust(len(m.group())), text, flags=re.MULTILINE
        )
        return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", self._renamed, text)

    def _renamed(self, match: re.Match[str]) -> str:
        return self.random.setdefault(match.group(), str(uuid.UUID(int=(len(self.random) + 1) << 96)))


@contextmanager
def begun(both: servers.Servers, cwd: Path) -> Iterator[Hour]:
    """An empty database, and a folder that holds the shop."""
    url, index = servers.new_database(both.postgres), f"t{uuid.uuid4().hex[: len(INDEX) - 1]}"
    shutil.copy(FILES / "shop.sql", cwd)
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment()['PATH']}"
    env = environment(DATABASE_URL=url, ELASTIC_URL=both.sink, ELASTIC_INDEX=f"{index}-not-used", PATH=path)
    engine = Elasticsearch(both.sink)
    hour = Hour(url, engine, index, env, cwd)
    try:
        yield hour
    finally:
        if hour.worker:
            hour.worker.end()
        for each in engine.options(ignore_status=404).indices.get(index=f"{index}*"):
            engine.indices.delete(index=each)
        engine.close()
        servers.drop_database(both.postgres, url)


def main() -> None:
    """Write the page; without tmux a pseudo terminal shows the same."""
    recorder = by_tmux if shutil.which("tmux") else by_pty
    with (
        servers.started() as both,
        TemporaryDirectory() as folder,
        begun(both, Path(folder)) as hour,
        recorder(hour.env, hour.cwd) as record,
    ):
        PAGE.write_text(hour.page(record))


if __name__ == "__main__":
    main()
