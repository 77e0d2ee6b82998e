"""A new index behind the alias, filled while live events flow."""
