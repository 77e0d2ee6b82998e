"""The pictures of the pages on concepts, drawn from tables: `make docs` writes them, a test holds them."""

from tools.pictures import chains, outage, sequences


def pictures() -> dict[str, str]:
    """Path below `docs/` and text of every picture of this package."""
    drawn = sequences.pictures() | chains.pictures() | outage.pictures()
    return {f"pictures/{name}.svg": f"{svg}\n" for name, svg in drawn.items()}
