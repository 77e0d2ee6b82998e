"""`status`, `stuck`, `oldest`: where the pipeline stands."""
