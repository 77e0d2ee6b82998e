"""Tenants whose tables are the same, of which `apply` looks at one before it puts any in force."""

from collections.abc import Sequence
from typing import Any

import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import in_force
from outboxctl.operations.projection import apply, declaration
from outboxctl.operations.projection.plan import plan
from outboxctl.sink.transport.client import Client
from sinks import client_of
from tenants.tenancy import SELECT, WHO, Tenants


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE tenant_c.products DROP CONSTRAINT products_pkey CASCADE",
        "ALTER TABLE tenant_c.products RENAME name TO title",
        "ALTER TABLE tenant_c.categories DROP CONSTRAINT categories_pkey CASCADE",
        "ALTER TABLE tenant_c.products ALTER id TYPE double precision",
    ],
)
def test_the_last_tenant_differs_and_none_is_applied(tenants: Tenants, change: str) -> None:
    tenants.sql.execute(change.encode())
    refused = tenants("apply", *WHO)
    assert refused.returncode == 2
    assert "in the schema 'tenant_c'" in refused.stderr
    assert tenants.in_force() == {}
    assert tenants.engine.indices.get_alias(index=f"{tenants.index}-*").body == {}


def test_each_tenant_is_planned_once_and_one_of_them_beforehand(
    tenants: Tenants, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = list[str]()

    def counted(
        connection: Any, client: Client, declared: Sequence[declaration.Declaration], **more: Any
    ) -> Any:
        planned.extend(each.schema for each in declared)
        return plan(connection, client, declared, **more)

    monkeypatch.setattr(apply, "plan", counted)
    declared, es = declaration.read(tenants.file), client_of(tenants.engine)
    done = apply.Applying(db, es, "alice", "tenants", "none").apply(declared)
    assert planned == ["tenant_a", "tenant_a", "tenant_b", "tenant_c"]
    assert [each.projection.schema for each in done.planned] == ["tenant_a", "tenant_b", "tenant_c"]
    assert [step.what for step in done.steps["product__tenant_c"]].count("index") == 1
    again = apply.Applying(db, es, "alice", "tenants", "none").apply(declared)
    assert not any(again.steps.values())
    tenants.drain()
    assert tenants.judged() == {}


def test_what_is_kept_of_the_declarations_is_what_is_in_force(tenants: Tenants, db: Database) -> None:
    kept = in_force.Kept()
    for patterns, select in (
        (("tenant_*",), SELECT),
        (("tenant_[ab]",), SELECT),
        (("*_[bc]",), SELECT.replace("AS reviews", "AS remarks")),
    ):
        tenants.declare(*patterns, select=select)
        tenants.apply()
        with db.begin() as connection:
            found, wanted = kept.read(connection), in_force.read(connection)
            assert kept.read(connection) is found
        assert [(each, each.stamp) for each in found] == [(each, each.stamp) for each in wanted]
        assert len(found) == len(tenants.in_force()) > 1
