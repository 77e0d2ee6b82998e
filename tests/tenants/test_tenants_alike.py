"""Tenants whose tables are the same, of which `apply` looks at one before it puts any in force."""

import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import in_force
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
