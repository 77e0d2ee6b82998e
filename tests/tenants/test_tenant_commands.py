"""What commands do with the name of a declaration for several schemas: it chooses all its projections."""

from tenants.tenancy import WHO, Tenants


def test_a_name_chooses_all_schemas(tenants: Tenants) -> None:
    tenants.apply()
    cli, names = tenants.cli, [f"product__tenant_{each}" for each in "abc"]
    tenants.sql.execute("UPDATE search_outbox_events SET status = 'failed', error_reason = 'none'")
    for chosen, count in (("product", 3), (names[0], 1)):
        shown = cli.json("projection", "show", chosen)
        listed = shown["projections"] if count > 1 else [shown]
        assert [each["name"] for each in listed] == names[:count]
        status = cli.json("status", "--projection", chosen)
        assert [each["name"] for each in status["projections"]] == names[:count]
        failed = sum(each["failed"] for each in listed)
        assert status["status"]["failed"] == failed > 0
        for option in ("--projection", "--entity-type"):
            assert cli.json("failed", "list", option, chosen)["failed"] == failed
    (line,) = [each for each in cli.ok("projection", "list").splitlines() if "product" in each]
    assert "3 schemas" in line
    cli.ok("replay", "--projection", "product", *WHO)
    tenants.drain()
    assert tenants.judged() == {}
    tenants.engine.delete(index=f"{tenants.index}-tenant_b", id="1", refresh=True)
    tenants.engine.delete(index=f"{tenants.index}-tenant_c", id="2", refresh=True)
    assert cli("verify", "--projection", names[0]).returncode == 0
    assert cli("verify", "--projection", "product").returncode == 4
    cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    assert tenants.judged() == {}
    assert tenants.engine.indices.exists(index=f"{tenants.index}-tenant_c-000002")
    refused = cli("projection", "preview", "product", "1")
    assert refused.returncode == 2
    assert names[2] in refused.stderr
    cli.ok("doctor")
    assert "product__tenant_c" in cli.ok("projection", "drop", "product", *WHO)
    assert tenants.in_force() == {}
