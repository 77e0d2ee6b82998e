"""Every setting: its name in the environment, its default, its bounds, and where its value came from.

Precedence: flag, environment, `.env`, default. The names are the public contract's. A secret may come
from a file wherever a value could: NAME_FILE is its path.
"""

import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from outboxctl import secret_files, strangers
from outboxctl.errors import UsageError
from outboxctl.urls import check_database_url, check_sink_urls
from outboxctl.wording import CONTROL, brief, plain

Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Environment = Literal["dev", "test", "sandbox", "prod"]
MAX_INDEX_BYTES = 255
DELIVERY_SHARE = 0.75  # of the lease: a request must have ended by then, and leave time to settle
FORBIDDEN_IN_INDEX = set('\\/*?"<>| ,#:')


class Source(StrEnum):
    """Where a value came from."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DOTENV = ".env"
    DEFAULT = "default"


class OutagePolicy(StrEnum):
    """What an outage of the sink does to attempts: `count` burns them, `hold` gives them back."""

    COUNT = "count"
    HOLD = "hold"


class NotifyPolicy(StrEnum):
    """Whether a worker listens for new events: `auto` where the database notifies, `off` never."""

    AUTO = "auto"
    OFF = "off"


class Product(StrEnum):
    """Whose client speaks to the sink: `auto` is Elasticsearch's, until OpenSearch answers."""

    AUTO = "auto"
    ELASTICSEARCH = "elasticsearch"
    OPENSEARCH = "opensearch"


class Settings(BaseSettings):
    """All settings, validated. Seconds are floats in seconds; sizes are events."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        case_sensitive=True,
    )

    database_url: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL: postgresql://, postgres:// or postgresql+psycopg://",
    )
    elastic_url: SecretStr = Field(
        SecretStr("http://localhost:9200"),
        validation_alias="ELASTIC_URL",
        description="the sink: one URL or several, comma-separated",
    )
    sink: Product = Field(
        Product.AUTO,
        validation_alias="OUTBOX_SINK",
        description="`elasticsearch`, `opensearch` (the extra of that name), or `auto`: whichever answers",
    )
    elastic_index: str = Field(
        "outbox-search-index", validation_alias="ELASTIC_INDEX", description="index or write alias"
    )
    elastic_api_key: SecretStr | None = Field(
        None, validation_alias="ELASTIC_API_KEY", description="API key; wins over user and password"
    )
    elastic_username: str | None = Field(
        None, validation_alias="ELASTIC_USERNAME", description="user for basic authentication"
    )
    elastic_password: SecretStr | None = Field(
        None, validation_alias="ELASTIC_PASSWORD", description="its password"
    )
    elastic_ca_certs: str | None = Field(
        None,
        validation_alias="ELASTIC_CA_CERTS",
        description="PEM file of the CA that signed the sink's certificate",
    )
    elastic_client_cert: str | None = Field(
        None,
        validation_alias="ELASTIC_CLIENT_CERT",
        description="PEM file of our own certificate, where the sink asks for one",
    )
    elastic_client_key: str | None = Field(
        None,
        validation_alias="ELASTIC_CLIENT_KEY",
        description="PEM file of its key, if that is not in the same file",
    )
    elastic_fingerprint: str | None = Field(
        None,
        validation_alias="ELASTIC_FINGERPRINT",
        description="SHA-256 of the sink's certificate or its CA, in hex, in place of ELASTIC_CA_CERTS",
    )
    environment: Environment | None = Field(
        None,
        validation_alias=AliasChoices("OUTBOX_ENV", "WORDLOOM_ENV"),
        description="dev, test, sandbox or prod; checked against the marker in the database",
    )
    worker_id: str = Field(
        default_factory=lambda: f"{socket.gethostname()[:80]}:{os.getpid()}",
        validation_alias="OUTBOX_WORKER_ID",
        description="name of this worker, for people; never the fence",
        min_length=1,
        max_length=120,
    )
    metrics_port: Port = Field(
        9108, validation_alias="OUTBOX_METRICS_PORT", description="port of /metrics, /healthz and /readyz"
    )
    metrics_host: str = Field(
        "127.0.0.1",
        validation_alias="OUTBOX_METRICS_HOST",
        description="address they listen on",
        min_length=1,
    )
    bulk_size: Count = Field(
        1_000,
        validation_alias="OUTBOX_BULK_SIZE",
        description="events per claim and per bulk request",
        le=10_000,
    )
    max_batch_bytes: int = Field(
        8_000_000,
        validation_alias="OUTBOX_MAX_BATCH_BYTES",
        description="bytes of documents in one batch; a larger document goes alone",
        ge=1,
        le=1_000_000_000,
    )
    concurrency: Count = Field(
        3, validation_alias="OUTBOX_CONCURRENCY", description="batches in flight in one worker", le=64
    )
    poll_interval_seconds: Seconds = Field(
        1.0,
        validation_alias="OUTBOX_POLL_INTERVAL_SECONDS",
        description="the longest idle wait between claims",
    )
    notify: NotifyPolicy = Field(
        NotifyPolicy.AUTO,
        validation_alias="OUTBOX_NOTIFY",
        description="`auto`: listen for new events where `db notify on` was run; `off`: only poll",
    )
    lease_seconds: Seconds = Field(
        30.0,
        validation_alias="OUTBOX_LEASE_SECONDS",
        description="how long a claim belongs to its worker; at least 1",
        ge=1,
    )
    reclaim_interval_seconds: Seconds = Field(
        5.0,
        validation_alias="OUTBOX_RECLAIM_INTERVAL_SECONDS",
        description="how often stuck events are looked for",
    )
    max_processing_seconds: Seconds = Field(
        600.0,
        validation_alias="OUTBOX_MAX_PROCESSING_SECONDS",
        description="processing longer than this is stuck",
    )
    max_attempts: Count = Field(
        10, validation_alias="OUTBOX_MAX_ATTEMPTS", description="attempts before an event fails for good"
    )
    base_backoff_seconds: Seconds = Field(
        0.5,
        validation_alias="OUTBOX_BASE_BACKOFF_SECONDS",
        description="the first step of the backoff; it doubles, jittered",
    )
    max_backoff_seconds: Seconds = Field(
        30.0, validation_alias="OUTBOX_MAX_BACKOFF_SECONDS", description="the longest step"
    )
    outage_policy: OutagePolicy = Field(
        OutagePolicy.COUNT,
        validation_alias="OUTBOX_OUTAGE_POLICY",
        description="`count`: an outage burns attempts; `hold`: gives them back, and probes",
    )
    shutdown_grace_seconds: Seconds = Field(
        25.0,
        validation_alias="OUTBOX_SHUTDOWN_GRACE_SECONDS",
        description="how long SIGTERM lets batches in flight end",
    )
    sla_oldest_age_seconds: Seconds = Field(
        300.0,
        validation_alias="OUTBOX_SLA_OLDEST_AGE_SECONDS",
        description="`check` and readiness: events are due and nothing succeeded for this long",
    )
    tracing: bool = Field(
        False,
        validation_alias="OUTBOX_TRACING",
        description="`on`: the worker sends spans by OTLP, as OpenTelemetry's own variables say",
    )
    read_only: bool = Field(
        False,
        validation_alias="OUTBOX_READ_ONLY",
        description="refuse every command that would change something",
    )

    # The secrets that came from files: name of the setting and path, by field.
    _files: dict[str, tuple[str, str]] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a folder of them; we name each
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A secret's file stands where its value would, behind it."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101 - for the type checker
        assert isinstance(dotenv_settings, EnvSettingsSource)  # noqa: S101 - the same
        given = init_settings.init_kwargs
        return (
            init_settings,
            env_settings,
            SecretFiles(settings_cls, os.environ, given),
            dotenv_settings,
            SecretFiles(settings_cls, dotenv_settings.env_vars, given),
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
        # The rules of Elasticsearch's create-index API.
        bad_start = value.startswith(("-", "_", "+")) or value in {"", ".", ".."}
        bad_size = value != value.lower() or len(value.encode()) > MAX_INDEX_BYTES
        if bad_start or bad_size or CONTROL.search(value) or FORBIDDEN_IN_INDEX & set(value):
            raise ValueError("not a valid index name (lower case, none of the characters that a URL needs)")
        return value

    @field_validator("elastic_fingerprint")
    @classmethod
    def _sha256(cls, value: str | None) -> str | None:
        digits = (value or "").replace(":", "").lower()
        if value and not re.fullmatch("[0-9a-f]{64}", digits):
            raise ValueError("expected the 64 hex digits of a SHA-256, with or without colons")
        return digits or None

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

    @field_validator("worker_id", "metrics_host")
    @classmethod
    def _printable(cls, value: str) -> str:
        if CONTROL.search(value) or not value.strip():
            raise ValueError("blank, or holds control characters")
        return value

    @property
    def delivery_seconds(self) -> float:
        """Seconds that one request to the sink may take: three quarters of the lease."""
        return self.lease_seconds * DELIVERY_SHARE

    @property
    def transaction_seconds(self) -> float:
        """Seconds until a worker's transaction is given up: its server may never answer."""
        return max(5.0, min(self.lease_seconds, 30.0))

    @property
    def sink_urls(self) -> list[str]:
        """The sink's URLs, each with an explicit port, credentials included: never print them."""
        return self.elastic_url.get_secret_value().split(",")

    def renewed(self) -> "Settings":
        """These settings with what the files of secrets hold now; itself where nothing new can be read."""
        if not self._files:
            return self
        new = {}
        for field, (name, path) in self._files.items():
            with suppress(UsageError):  # it is being replaced just now
                new[field] = secret_files.read(name, path)
        with suppress(ValidationError):
            fresh = Settings(**({"_env_file": None} | self.model_dump() | new))
            fresh._files = self._files
            return self if fresh.model_dump() == self.model_dump() else fresh
        return self

    def require_database_url(self) -> str:
        """Return the database URL, or raise UsageError naming the setting."""
        if self.database_url is None:
            raise UsageError(
                "DATABASE_URL is not set",
                hint="export DATABASE_URL='postgresql://user:password@host:5432/name', "
                "or run `outboxctl services up` for a local one",
            )
        return self.database_url.get_secret_value()


class SecretFiles(PydanticBaseSettingsSource):
    """What the files hold that one place (the environment, `.env`) names; not for what is `given` already."""

    def __init__(
        self, settings_cls: type[BaseSettings], level: Mapping[str, str | None], given: Collection[str]
    ) -> None:
        super().__init__(settings_cls)
        self._level, self._given = level, given

    def __call__(self) -> dict[str, Any]:
        """Values by setting."""
        wanted = [name for field, name in secrets() if not {field, name} & set(self._given)]
        named = secret_files.named(wanted, self._level)
        known = self.current_state  # of the places that come first
        return {name: secret_files.read(where, path) for name, where, path in named if name not in known}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: a call gives all."""
        raise NotImplementedError


def env_names(field: str) -> list[str]:
    """The environment names of a field, the first one canonical."""
    alias = Settings.model_fields[field].validation_alias
    return [str(a) for a in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def is_secret(field: str) -> bool:
    """Whether a field's value may hold a secret."""
    return "SecretStr" in str(Settings.model_fields[field].annotation)


def secrets() -> Iterator[tuple[str, str]]:
    """Each field that may hold a secret, and its name in the environment."""
    return ((field, env_names(field)[0]) for field in Settings.model_fields if is_secret(field))


def all_names() -> set[str]:
    """Every name of a setting, those of secrets' files included."""
    plain = {name for field in Settings.model_fields for name in env_names(field)}
    return plain | {name + secret_files.SUFFIX for _, name in secrets()}


def load(**flags: Any) -> Settings:
    """Read all settings; a flag that is None was not given.

    Raises UsageError naming a bad one, and for a name that begins like ours and is none.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        _refuse_strangers()
        found = Settings(**given)
    except ValidationError as error:
        raise UsageError(_explain(error, given)) from None
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f".env cannot be read: {type(error).__name__}") from None
    found._files = {field: file for field, file in _files().items() if field not in given}
    return found


def doubts() -> list[str]:
    """What may be misspelt, and may be somebody else's as well."""
    near = strangers.doubtful(_dotenv() | os.environ, all_names())
    return [f"{name} is no setting of ours; did you mean {setting}?" for name, setting in near.items()]


def _refuse_strangers() -> None:
    known = all_names()
    for level, where in ((os.environ, "the environment"), (_dotenv(), ".env")):
        for name in strangers.unknown(level, known):
            near = strangers.nearest(name, known)
            raise UsageError(
                f"unknown setting {brief(name, 80)} in {where}",
                hint=f"did you mean {near}?" if near else "`outboxctl config show` lists all; unset it",
            )


def sources(**flags: Any) -> dict[str, Source]:
    """Where each field's value comes from."""
    files, dotenv = _files(), _dotenv()
    return {name: _source(name, flags, files, dotenv) for name in Settings.model_fields}


def secret_file(field: str) -> str | None:
    """The path of the file that holds this field's secret, where neither a flag nor a value does."""
    return _files().get(field, (None, None))[1]


def _source(
    field: str, flags: Mapping[str, Any], files: Collection[str], dotenv: Mapping[str, str | None]
) -> Source:
    if flags.get(field) is not None:
        return Source.FLAG
    if field in files:
        return Source.FILE
    if any(os.environ.get(name) for name in env_names(field)):
        return Source.ENVIRONMENT
    return Source.DOTENV if any(dotenv.get(name) for name in env_names(field)) else Source.DEFAULT


def _files() -> dict[str, tuple[str, str]]:
    """Name and path of each file that is in force, by field: the environment before `.env`."""
    levels, suffix = (os.environ, _dotenv()), secret_files.SUFFIX
    found = {}
    for field, name in secrets():
        first = next((level for level in levels if level.get(name) or level.get(name + suffix)), {})
        if path := first.get(name + suffix):
            found[field] = (name + suffix, path)
    return found


def _dotenv() -> Mapping[str, str | None]:
    return DotEnvSettingsSource(Settings).env_vars


def _explain(error: ValidationError, flags: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    field = _field_of(str(first["loc"][0]))
    where = f"--{field.replace('_', '-')}" if field in flags else _name_set(field)
    raw = flags.get(field, _raw(field))
    shown = "" if is_secret(field) else f" {brief(repr(raw), 80)}"
    linked = strangers.link(raw) if isinstance(raw, str) else False
    why = "a Kubernetes service set it; say enableServiceLinks: false" if linked else plain(first["msg"])
    return f"bad setting {where}{shown}: {why}"


def _field_of(location: str) -> str:
    return next(f for f in Settings.model_fields if location == f or location in env_names(f))


def _name_set(field: str) -> str:
    if file := _files().get(field):
        return f"{file[0]} ({brief(file[1], 200)})"
    return next((name for name in env_names(field) if _raw_of(name)), env_names(field)[0])


def _raw(field: str) -> str | None:
    return _raw_of(_name_set(field))


def _raw_of(name: str) -> str | None:
    return os.environ.get(name) or _dotenv().get(name)
