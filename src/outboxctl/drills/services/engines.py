"""The engines that can be had from Maven Central, one release of each, and how a node of each is laid out."""

from dataclasses import dataclass
from pathlib import Path

from outboxctl.drills.services.model import Kind

SOURCES = Path(__file__).parent / "engine"


@dataclass(frozen=True)
class Release:
    """One release. `product` names the folder of its sources here, and the property of its modules.

    `transport` is the class of the module that speaks HTTP, `java` the oldest one it runs on.
    """

    product: str
    version: str
    transport: str
    java: int = 21

    @property
    def title(self) -> str:
        """For people."""
        return f"{'OpenSearch' if self.product == 'opensearch' else 'Elasticsearch'} {self.version}"

    @property
    def sources(self) -> Path:
        """What Maven Central lacks of it."""
        return SOURCES / self.product

    @property
    def descriptor(self) -> str:
        """Of its transport, which both products take for a module only with such a file beside it."""
        return "\n".join(
            (
                "name=transport",
                "description=HTTP",
                f"version={self.version}",
                f"{self.product}.version={self.version}",
                f"java.version={self.java}",
                f"classname={self.transport}",
                "has.native.controller=false\n",
            )
        )


# Of each line, the newest release whose HTTP transport is on Maven Central too (9.0.4: and which the
# recorded answers in the tests are from).
RELEASES: dict[Kind, Release] = {
    "elasticsearch": Release("elasticsearch", "9.0.4", "LocalTransport"),
    "elasticsearch8": Release("elasticsearch", "8.19.21", "LocalTransport", java=17),
    "opensearch": Release("opensearch", "2.19.6", "org.opensearch.transport.Netty4Plugin", java=17),
    "opensearch3": Release("opensearch", "3.9.0", "org.opensearch.transport.Netty4ModulePlugin"),
}
