"""A schema with its projections in force, and the judge of all their indexes."""

import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import psycopg

from engines.node import Node
from processes import Cli
from schemas.judge import differences

UNFINISHED = "SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing') LIMIT 1"
FAILED = "SELECT entity_type, entity_key, error FROM search_outbox_events WHERE status = 'failed'"


class Place:
    """A schema with its projections in force, each with an index of its own."""

    def __init__(self, schema: ModuleType, sql: psycopg.Connection, cli: Cli, folder: Path) -> None:
        self.schema, self.sql = schema, sql
        sql.execute(schema.TABLES)
        self.declared: dict[str, Any] = tomllib.loads(schema.DECLARATION)["projections"]
        self.indexes = {name: f"t-{uuid4().hex[:12]}" for name in self.declared}
        file = Path(folder, f"{schema.NAME}.toml")
        file.write_text(schema.DECLARATION.format(**self.indexes), encoding="utf-8")
        cli.ok("projection", "apply", str(file), "--by", "test", "--reason", "test", "--yes")

    def differences(self, engine: Node) -> list[str]:
        """What the judge finds in all of its indexes."""
        wrong: list[str] = []
        for name, declared in self.declared.items():
            keys = declared["key"] if isinstance(declared["key"], list) else [declared["key"]]
            view, index = declared["document"], self.indexes[name]
            wrong += differences(self.sql, engine, view=view, keys=keys, index=index)
        return wrong

    def remove(self, engine: Node) -> None:
        """Delete its indexes."""
        for index in self.indexes.values():
            engine.ok("DELETE", f"/{index}-000001")
