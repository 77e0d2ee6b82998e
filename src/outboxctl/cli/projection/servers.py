"""Both servers that `plan` and `apply` use, without secrets; an unset ELASTIC_URL is said.

Its default is somebody's engine on this machine, perhaps another project's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from outboxctl.cli.options import program_flags
from outboxctl.domain.printable import brief

if TYPE_CHECKING:
    from outboxctl.settings import Settings

LONGEST = 600  # characters of a name


@dataclass(frozen=True)
class ServerNames:
    """`database` is `host:port/name`, `sink` its URLs, `sink_is_default` whether nobody has set them."""

    database: str
    sink: str
    sink_is_default: bool

    def __str__(self) -> str:
        return f"From the database {self.database} to {self.named_sink}"

    @property
    def named_sink(self) -> str:
        """The sink, with the default said to be one."""
        return f"{self.sink} (default: ELASTIC_URL is not set)" if self.sink_is_default else self.sink


def server_names(settings: "Settings") -> ServerNames:
    """Of these settings. UsageError without a readable DATABASE_URL."""
    from outboxctl.core.conninfo import describe, parameters
    from outboxctl.net.urls import mask
    from outboxctl.settings import Source, sources

    return ServerNames(
        brief(describe(parameters(settings.require_database_url())), LONGEST),
        brief(", ".join(map(mask, settings.sink_urls)), LONGEST),
        sources(**program_flags())["elastic_url"] is Source.DEFAULT,
    )
