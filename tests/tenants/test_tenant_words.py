"""What commands say of many tenants: each thing once, and nothing that is not so."""

from tenants.tenancy import TABLES, WHO, Tenants


def _into_one_index(tenants: Tenants, index: str = "") -> None:
    text = tenants.file.read_text(encoding="utf-8")
    text = text.replace("-{schema}", index).replace("query =", 'id_prefix = "{schema}:"\nquery =')
    tenants.file.write_text(text, encoding="utf-8")


def test_a_new_index_of_all_tenants_is_made_once_and_needs_no_rebuild(tenants: Tenants) -> None:
    tenants.apply()
    tenants.drain()
    _into_one_index(tenants, "-all")
    planned = tenants("plan").stdout
    assert planned.count("create ") == 1
    assert "rebuild" not in planned
    applied = tenants("apply", *WHO).stdout
    assert applied.count("index: create ") == 1
    assert "rebuild" not in applied
    tenants.drain()
    assert len(tenants.held(f"{tenants.index}-all")) == 6


def test_a_rebuild_of_a_shared_index_is_one_command(tenants: Tenants) -> None:
    _into_one_index(tenants)
    tenants.apply()
    text = tenants.file.read_text(encoding="utf-8")
    tenants.file.write_text(text.replace('"{schema}:"', '"of-{schema}:"'), encoding="utf-8")
    for command in (("plan",), ("apply", *WHO)):
        said = tenants(*command).stdout
        assert said.count("Next: outboxctl rebuild") == 1
        assert said.count("needs a rebuild: id_prefix changes") == 3


def test_no_table_of_another_tenant_is_meant(tenants: Tenants) -> None:
    tenants.add("tenant_d", tables=TABLES.replace("reviews", "reviewz"))
    refused = tenants("plan").stderr
    assert "did you mean tenant_d.reviewz?" in refused
    tenants.sql.execute("DROP TABLE tenant_d.reviewz, tenant_d.products, tenant_d.categories")
    assert "did you mean" not in tenants("plan").stderr


def test_status_has_a_line_for_all_tenants_and_one_for_that_which_fails(tenants: Tenants) -> None:
    tenants.apply()
    status = tenants.cli.ok("status")
    assert "product (3 schemas)" in status
    assert "product__" not in status.partition("C  ")[0]
    assert status.count("following all documents for") == 1
    tenants.drain()
    tenants.sql.execute("UPDATE tenant_b.products SET name = 'x' WHERE id = 1")
    tenants.sql.execute("UPDATE search_outbox_events SET status = 'failed' WHERE status = 'pending'")
    table = tenants.cli.ok("status").partition("A  ")[0]
    assert "product__tenant_b" in table
    assert "product__tenant_a" not in table
    assert "product__tenant_a" in tenants.cli.ok("status", "--projection", "product")
