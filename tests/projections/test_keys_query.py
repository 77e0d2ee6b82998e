"""A colon in a `keys` query is a parameter where a reader takes it for one, and nowhere else."""

import pytest

from outboxctl.domain.keys_query import parameters, replaced

pytestmark = pytest.mark.no_servers


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT a FROM t WHERE b = :id", ("id",)),
        ("SELECT a FROM t WHERE b = :id AND c = :_c2 OR d = :id", ("id", "_c2")),
        ("SELECT a::text FROM t WHERE b = :id::int", ("id",)),
        ("SELECT ':no', \"a:no\", $$:no$$, $x$ :no $x$ FROM t WHERE b=:id", ("id",)),
        ("SELECT 'it''s :no' FROM t -- :no\nWHERE b = :id /* :no\n:no */", ("id",)),
        ("SELECT a[1:2] FROM t WHERE b = :id", ("id",)),
        ('SELECT a FROM t WHERE b = :"Of It" AND c = :"a""b"', ("Of It", 'a"b')),
        ("SELECT 1", ()),
    ],
)
def test_parameters(sql: str, names: tuple[str, ...]) -> None:
    assert parameters(sql) == names
    marked = replaced(sql, lambda name: f"<{name}>", lambda text: text.replace("a", "A"))
    assert all(f"<{name}>" in marked for name in names)
    assert replaced(sql, lambda _: "NULL").count("NULL") >= len(names)
    assert "a" not in marked.translate({ord(c): None for name in names for c in name})
