"""The secrets among the settings, registered for redaction before an error can name them."""

import os
from collections.abc import Mapping
from typing import Any

from outboxctl.domain import redaction
from outboxctl.settings.model import secrets
from outboxctl.settings.origin import dotenv_values

# Not settings of ours: what libpq and OpenTelemetry read from the environment by themselves.
OTHERS = ("PGPASSWORD", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


def register_secrets(flags: Mapping[str, Any]) -> None:
    """Register every secret of flags, environment and `.env`, a malformed one too.

    A secret in a file is registered when it is read (`secret_files`): it may change while the process runs.
    """
    for level in (os.environ, dotenv_values()):
        for name in [*(name for _, name in secrets()), *OTHERS]:
            redaction.add_setting(name, level.get(name) or "")
    for field, name in secrets():
        redaction.add_setting(name, str(flags.get(field) or ""))
