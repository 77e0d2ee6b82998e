"""The declaration file: TOML, read into dataclasses. Nothing is looked up in the database here."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outboxctl.core.projections.catalog import MAX_NAME
from outboxctl.domain.index_names import BRACES, MOST_BYTES, broken_rule, may_meet
from outboxctl.domain.lifecycle import PROJECTION
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import HASHED, NAME, disjoint
from outboxctl.operations.projection.place import Place, file_mapping, file_text, shown

KEYS = (
    *("root", "key", "document", "query", "index", "id_prefix", "mapping", "routing", "pipeline", "version"),
    *("events", "ignore", "follow", "skip_unchanged", "schemas"),
)
TRIGGERS, APPLICATION = EVENTS = ("triggers", "application")
NO_FOLLOW = "leave it out: the application calls outboxctl.touch for each document that it changes"
FOLLOW_KEYS = ("table", "key", "keys", "all", "columns")
HOW = (
    "key: columns that hold the document's key; keys: a SELECT of the keys behind a changed row;"
    " all = true: a change reaches every document"
)
MAX_PREFIX = 100  # bytes: an `_id` has 512, and a hash takes 71 of them
OWN_INDEX = (
    "each has an index of its own, or each an `id_prefix`, of which none begins with another: several"
    " projections then share the index, unless a column chooses it"
)
SELECT = re.compile(r"\s*(select|with)\s", re.IGNORECASE)
SCHEMA = "{schema}"  # in a declaration with `schemas`
LONGEST_FAMILY = 30  # characters


@dataclass(frozen=True)
class DeclaredFollow:
    """A table that is followed: by `key`, columns with the document's key, or by `keys`, a query.

    With `all` any change of it reaches every document.
    """

    place: Place
    table: str
    key: tuple[str, ...] = ()
    keys: str = ""
    columns: tuple[str, ...] = ()
    all: bool = False


@dataclass(frozen=True)
class Declaration:
    """A projection as the file has it. One of `document` (a view) and `query` (a SELECT) is empty.

    `mapping` is the partial body of an index: `settings`, `mappings`, or both, or empty. `events` is one of
    EVENTS, or empty. With `schemas`, patterns of their names, it stands for a declaration for each schema
    that matches (`schemas.expand`); of such a one `family` is the name of that declaration. `former_id`: the
    column of `id`, which is refused.
    """

    place: Place
    name: str
    root: str
    key: tuple[str, ...]
    index: str
    id_prefix: str = ""
    document: str = ""
    query: str = ""
    mapping: dict[str, Any] = field(default_factory=dict)
    routing: str = ""
    pipeline: str = ""
    version: str = ""
    former_id: str = ""
    skip_unchanged: bool = False
    events: str = ""
    ignore: tuple[str, ...] = ()
    follow: tuple[DeclaredFollow, ...] = ()
    schemas: tuple[str, ...] = ()
    family: str = ""
    schema: str = ""

    @property
    def column(self) -> str:
        """The column of the document whose value is put into the index's name; empty: it is one index."""
        return found[0][1:-1] if (found := BRACES.search(self.pattern)) else ""

    @property
    def pattern(self) -> str:
        """The name of its index; of a declaration for several schemas with a name in place of theirs."""
        return self.index.replace(SCHEMA, "schema") if self.schemas else self.index


def read(path: Path) -> list[Declaration]:
    """The declarations of a file, in its order.

    Raises UsageError with the file, the place in it and what is wrong: for TOML that does not parse, unknown
    keys, values of another type, files that it names and that are not there, two projections of one index.
    """
    return parsed(path, file_text(Place(str(path)), path))


def parsed(path: Path, text: str) -> list[Declaration]:
    """The declarations of a text that is, or might be, in the file `path`. Raises as `read`."""
    top = Place(str(path))
    content = _toml(text, top)
    top.known(content, ["projections"])
    tables = top.value(content, "projections", dict, "a table")
    if not tables:
        top.fail("it declares no projection", "a projection begins with [projections.NAME]")
    declared = [_declaration(path, name, table) for name, table in tables.items()]
    check_indexes(declared)
    return declared


def _toml(text: str, top: Place) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        top.fail(f"not TOML: {error}")
    except RecursionError:
        top.fail("not TOML: it is nested too deeply")


def _declaration(path: Path, name: str, table: Any) -> Declaration:
    if not NAME.fullmatch(name) or name == PROJECTION:
        hint = "1 to 50 of a-z, 0-9 and _" if name != PROJECTION else f"{PROJECTION} is the built-in one"
        Place(str(path), "projections").fail(f"{shown(name)} cannot be a projection's name", hint)
    place = Place(str(path), f"projections.{name}")
    if not isinstance(table, dict):
        place.fail(f"it must be a table, not {shown(table)}")
    place.known(table, (*KEYS, "id"))  # `id` is refused where the columns of the root are known
    root, key = place.text(table, "root", needed=True), place.texts(table, "key", several=False)
    if not key:
        place.fail("`key` is missing", "name the column, or the columns, that are the key of the root")
    declared = Declaration(
        place,
        name,
        root,
        key,
        _index(place, table),
        id_prefix=_id_prefix(place, table),
        document=_document(place, table),
        query=_query(place, table, path.parent),
        mapping=file_mapping(place, table, path.parent),
        routing=place.text(table, "routing"),
        pipeline=place.text(table, "pipeline"),
        version=place.text(table, "version"),
        former_id=place.text(table, "id"),
        skip_unchanged=_flag(place, table, "skip_unchanged"),
        events=_events(place, table),
        ignore=place.texts(table, "ignore"),
        follow=_follows(place, table, len(key)),
        schemas=place.texts(table, "schemas"),
    )
    _check_schemas(declared)
    return declared


def _check_schemas(declared: Declaration) -> None:
    """What tells apart the projections of several schemas: tables, indexes, and names."""
    place, name = declared.place, declared.name
    if not declared.schemas:
        return
    if len(name) > LONGEST_FAMILY or "__" in name or name.strip("_") != name:
        place.fail(
            "with `schemas` it cannot be the name of a projection",
            f"at most {LONGEST_FAMILY} of a-z, 0-9 and _, without __ and without _ at its ends",
        )
    if SCHEMA not in declared.root:
        place.at("root").fail(f"with `schemas` it names {SCHEMA}: each schema has tables of its own")
    if SCHEMA not in declared.index + declared.id_prefix:
        one = f'each schema has an index of its own, or all have one with id_prefix = "{SCHEMA}:"'
        place.at("index").fail(f"with `schemas` it names {SCHEMA}", one)
    for key, most in (("index", MOST_BYTES), ("id_prefix", MAX_PREFIX)):
        if len(getattr(declared, key).replace(SCHEMA, "x" * MAX_NAME).encode()) > most:
            place.at(key).fail(f"with a schema of {MAX_NAME} bytes it has more than {most}")
    # Whoever may make a schema could have its ids begin as those of another one.
    if re.search(r"\{schema\}([a-z0-9_]|\Z)", declared.id_prefix):
        hint = f'end it with another character: id_prefix = "{SCHEMA}:"'
        place.at("id_prefix").fail("ids of one schema could begin as those of another one", hint)


def _flag(place: Place, table: dict[str, Any], key: str) -> bool:
    return key in table and bool(place.value(table, key, bool, "true or false"))


def _document(place: Place, table: dict[str, Any]) -> str:
    if ("document" in table) == ("query" in table):
        both = "document" in table
        why = "both `document` and `query` are there" if both else "`document` or `query` is missing"
        place.fail(why, "document names a view that you made; query is a SELECT of which a view is made")
    return place.text(table, "document")


def _events(place: Place, table: dict[str, Any]) -> str:
    if (events := place.text(table, "events")) not in ("", *EVENTS):
        place.at("events").fail(f"{shown(events)} is none of {', '.join(EVENTS)}")
    if events == APPLICATION and "follow" in table:
        place.at("follow").fail(f'with events = "{APPLICATION}" no table has triggers', NO_FOLLOW)
    return events


def _query(place: Place, table: dict[str, Any], folder: Path) -> str:
    """A SELECT: the text itself where it is one, or has more than one line; else that of the file."""
    if "query" not in table:
        return ""
    given, here = place.value(table, "query", str, "the name of a file, or a SELECT"), place.at("query")
    inline = "\n" in given.strip() or SELECT.match(given)
    sql = given if inline else file_text(here, folder / here.one_line(given), folder=folder)
    if "\0" in sql or not (stripped := sql.strip().rstrip(";").rstrip()):
        here.fail("there is no SELECT in it")
    return stripped


def _index(place: Place, table: dict[str, Any]) -> str:
    """The name, with the name of one column in braces where each document's value of it is put in."""
    index, here = place.text(table, "index", needed=True), place.at("index")
    if BRACES.match(index):
        here.fail(f"{shown(index)} begins with a column", "any index could be one of its own: products-{…}")
    one = index.replace(SCHEMA, "x") if "schemas" in table else index
    if rule := broken_rule(BRACES.sub("x", one, count=1)):
        why = f"{rule}; one {{COLUMN}} of the document may be in it"
        here.fail(f"{shown(index)} cannot be an index's name", why)
    return index


def _id_prefix(place: Place, table: dict[str, Any]) -> str:
    prefix, here = place.text(table, "id_prefix"), place.at("id_prefix")
    if len(prefix.encode()) > MAX_PREFIX:
        here.fail(f"it has more than {MAX_PREFIX} bytes", 'a short one suffices: id_prefix = "product:"')
    if prefix.startswith(HASHED):
        here.fail(f"{shown(prefix)} begins as the ids of long keys do, {HASHED}")
    return prefix


def _follows(place: Place, table: dict[str, Any], count: int) -> tuple[DeclaredFollow, ...]:
    given = table.get("follow", [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        place.at("follow").fail("it must be a list of tables", f"[[{place.table}.follow]]")
    return tuple(_follow(place.at(f"follow[{number}]"), each, count) for number, each in enumerate(given, 1))


def _follow(place: Place, table: dict[str, Any], count: int) -> DeclaredFollow:
    place.known(table, FOLLOW_KEYS)
    name, key = place.text(table, "table", needed=True), place.texts(table, "key", several=False)
    keys = str(place.value(table, "keys", str, "a SELECT")).strip().rstrip(";") if "keys" in table else ""
    every = _flag(place, table, "all")
    if bool(key) + ("keys" in table) + every != 1:
        place.fail("one of `key`, `keys` and `all = true` must be there", HOW)
    if "keys" in table and (not keys.strip() or "\0" in keys):
        place.at("keys").fail("there is no SELECT in it")
    if key and len(key) != count:
        place.at("key").fail(f"it has {len(key)} columns, and the key of the projection has {count}")
    return DeclaredFollow(place, name, key, keys, place.texts(table, "columns"), every)


def _meeting(declared: Declaration, index: str, id_prefix: str) -> bool:
    """Whether a document may be one of another projection of this index, too."""
    if not may_meet(declared.pattern, index):
        return False
    # An index that a column chooses says of one projection alone that it is its own.
    several = any(map(BRACES.search, (declared.pattern, index)))
    return several or not disjoint(declared.id_prefix, id_prefix)


def _prefixes(own: str, other: str) -> str:
    """Of two projections of one index, for an error: empty where no ids begin with any."""
    texts = [f"ids begin with {shown(each)}" if each else "no id_prefix" for each in (other, own)]
    return f" ({texts[0]}; here: {texts[1]})" if own or other else ""


def check_indexes(declared: Iterable[Declaration], others: Iterable[tuple[str, str, str]] = ()) -> None:
    """Raise UsageError for an index of two, unless their ids are disjoint.

    `others` are beside the declared ones: the name of the index, the prefix of the ids, whose it is.
    """
    taken = [*others]
    for each in declared:
        for index, prefix, owner in taken:
            if _meeting(each, index, prefix):
                pattern = "" if index == each.pattern else f", which has {brief(index, 250)}"
                what = f"{brief(each.index, 250)} is the index of {owner} already{pattern}"
                each.place.at("index").fail(f"{what}{_prefixes(each.id_prefix, prefix)}", OWN_INDEX)
        taken.append((each.pattern, each.id_prefix, each.name))
