"""`demo`: the whole story."""


def demo() -> None:
    """The whole story on services of its own, in under a minute."""
