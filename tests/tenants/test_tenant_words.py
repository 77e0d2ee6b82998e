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


def test_what_stays_in_a_shared_index_is_said(tenants: Tenants) -> None:
    _into_one_index(tenants)
    said = tenants("apply", *WHO).stdout
    assert said.count("faster, where it is large") == 1
    assert "outboxctl rebuild --projection product --by" in said
    dropped = tenants.cli.ok("projection", "drop", "product__tenant_a", *WHO)
    assert "ids begin with tenant_a:, stay in it" in " ".join(dropped.split())


def test_prefixes_that_meet_are_both_named_and_show_says_what_is_set(tenants: Tenants) -> None:
    tenants.apply()
    shown = tenants.cli.ok("projection", "show", "product__tenant_a")
    assert "skip_unchanged" not in shown
    _into_one_index(tenants)
    text = tenants.file.read_text(encoding="utf-8")
    other = text.replace("projections.product", "projections.other").replace('"{schema}:"', '"{schema}:x:"')
    tenants.file.write_text(text + other, encoding="utf-8")
    refused = tenants("plan").stderr
    assert "(ids begin with '{schema}:'; here: ids begin with '{schema}:x:')" in refused


def test_a_schema_is_left_out_and_a_name_that_is_no_index_is_alike_in_all_families(tenants: Tenants) -> None:
    tenants.add("Tenant of the North and of the South")
    tenants.declare("*enant*", "!tenant_[bc]")
    text = tenants.file.read_text(encoding="utf-8")
    other = text.replace("projections.product", "projections.another_product").replace("-{s", "-other-{s")
    tenants.file.write_text(text + other, encoding="utf-8")
    tenants.apply()
    listed = tenants.cli.json("projection", "list")["projections"]
    assert {each["schema"] for each in listed} == {"Tenant of the North and of the South", "tenant_a"}
    north = {each["name"].partition("__")[2] for each in listed if each["schema"] != "tenant_a"}
    assert len(north) == 1
    assert {each["index"].endswith(*north) for each in listed if each["schema"] != "tenant_a"} == {True}
    assert "2 indexes" in tenants.cli.ok("projection", "list")
