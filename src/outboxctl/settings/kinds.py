"""How a setting is declared: its name, default and meaning; kinds of values, and the words that one takes."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Environment = Literal["dev", "test", "sandbox", "prod"]


def setting(name: str, default: Any, meaning: str, **more: Any) -> Any:
    """The field of a setting: its variable (or several) in the environment, its default, what it is for."""
    value = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**value, description=meaning, json_schema_extra={"names": name}, **more)


class OutagePolicy(StrEnum):
    """What an outage of the sink does to attempts: `count` burns them, `hold` gives them back."""

    COUNT = "count"
    HOLD = "hold"


class NotifyPolicy(StrEnum):
    """Whether a worker listens for new events: `auto` where the database notifies, `off` never."""

    AUTO = "auto"
    OFF = "off"


class SinkNodes(StrEnum):
    """Which nodes of the sink get requests: those of ELASTIC_URL, or also those that the cluster names."""

    NAMED = "named"
    DISCOVERED = "discovered"


class AwsService(StrEnum):
    """What of AWS requests are signed for: a domain of OpenSearch Service, or a Serverless collection."""

    DOMAIN = "es"
    SERVERLESS = "aoss"


class SinkProduct(StrEnum):
    """Which search engine the sink is; `auto`: its first answers decide."""

    AUTO = "auto"
    ELASTICSEARCH = "elasticsearch"
    OPENSEARCH = "opensearch"
