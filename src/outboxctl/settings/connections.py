"""The settings of the connections to PostgreSQL and the sink: addresses, credentials, trust."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from outboxctl.domain.errors import UsageError
from outboxctl.domain.index_names import broken_rule
from outboxctl.domain.printable import CONTROL
from outboxctl.net.urls import check_database_url, check_sink_urls

Environment = Literal["dev", "test", "sandbox", "prod"]


def setting(name: str, default: Any, meaning: str, **more: Any) -> Any:
    """The field of a setting: its variable (or several) in the environment, its default, what it is for."""
    value = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**value, description=meaning, json_schema_extra={"names": name}, **more)


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


class ConnectionSettings(BaseModel):
    """PostgreSQL and the sink."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid")

    database_url: SecretStr | None = setting(
        "DATABASE_URL", None, "PostgreSQL: postgresql://, postgres:// or postgresql+psycopg://"
    )
    elastic_url: SecretStr = setting(
        "ELASTIC_URL", SecretStr("http://localhost:9200"), "the sink: one URL or several, comma-separated"
    )
    sink: SinkProduct = setting(
        "OUTBOX_SINK",
        SinkProduct.AUTO,
        "`elasticsearch`, `opensearch`, or `auto`: whichever answers",
    )
    sink_nodes: SinkNodes = setting(
        "OUTBOX_SINK_NODES",
        SinkNodes.NAMED,
        "`named`: the nodes of ELASTIC_URL; `discovered`: also those that the cluster names, without a proxy",
    )
    elastic_index: str = setting("ELASTIC_INDEX", "outbox-search-index", "index or write alias")
    elastic_api_key: SecretStr | None = setting(
        "ELASTIC_API_KEY",
        None,
        "API key: `encoded` of the answer that made it (base64 of `id:api_key`); wins over user and password",
    )
    elastic_username: str | None = setting("ELASTIC_USERNAME", None, "user for basic authentication")
    elastic_password: SecretStr | None = setting("ELASTIC_PASSWORD", None, "its password")
    aws_service: AwsService | None = setting(
        "OUTBOX_AWS_SERVICE",
        None,
        "sign requests for AWS, by `outboxctl[aws]`: `es` (OpenSearch Service) or `aoss` (Serverless)",
    )
    aws_region: str | None = setting(
        "AWS_REGION",
        None,
        "region that requests are signed for; else AWS_DEFAULT_REGION, or that of the profile",
    )
    elastic_ca_certs: str | None = setting(
        "ELASTIC_CA_CERTS", None, "PEM file of the CA that signed the sink's certificate"
    )
    elastic_client_cert: str | None = setting(
        "ELASTIC_CLIENT_CERT", None, "PEM file of our own certificate, where the sink asks for one"
    )
    elastic_client_key: str | None = setting(
        "ELASTIC_CLIENT_KEY", None, "PEM file of its key, if that is not in the same file"
    )
    environment: Environment | None = setting(
        "OUTBOX_ENV WORDLOOM_ENV",
        None,
        "dev, test, sandbox or prod; checked against the marker in the database",
    )

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: SecretStr | None) -> SecretStr | None:
        return value and SecretStr(check_database_url(value.get_secret_value()))

    @field_validator("elastic_url")
    @classmethod
    def _elastic_url(cls, value: SecretStr) -> SecretStr:
        return SecretStr(",".join(check_sink_urls(value.get_secret_value())))

    @field_validator("elastic_index")
    @classmethod
    def _elastic_index(cls, value: str) -> str:
        if rule := broken_rule(value):
            raise ValueError(f"not an index name: {rule}")
        return value

    @field_validator(
        *("elastic_api_key", "elastic_username", "elastic_password"),
        *("elastic_ca_certs", "elastic_client_cert", "elastic_client_key"),
    )
    @classmethod
    def _fits_a_header(cls, value: SecretStr | str | None) -> SecretStr | str | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
        if CONTROL.search(text):
            raise ValueError("holds control characters, perhaps a line end from a file")
        return value

    @field_validator("elastic_api_key")
    @classmethod
    def _ascii(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().isascii():
            raise ValueError("not an API key: they are ASCII")
        return value

    @property
    def sink_urls(self) -> list[str]:
        """The sink's URLs, each with an explicit port, credentials included: never print them."""
        return self.elastic_url.get_secret_value().split(",")

    def require_database_url(self) -> str:
        """Return the database URL, or raise UsageError naming the setting."""
        if self.database_url is None:
            raise UsageError(
                "DATABASE_URL is not set",
                hint="export DATABASE_URL='postgresql://user:password@host:5432/name', "
                "or run `outboxctl services up` for a local one",
            )
        return self.database_url.get_secret_value()
