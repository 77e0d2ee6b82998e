"""What the settings hold that nobody may read, told to the redaction before anything can be said of them."""

import os
from collections.abc import Mapping
from typing import Any

from outboxctl.domain import redaction
from outboxctl.settings.model import secrets
from outboxctl.settings.origin import dotenv_values

# Not settings of ours: what libpq and OpenTelemetry read from the environment by themselves.
OTHERS = ("PGPASSWORD", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


def tell(flags: Mapping[str, Any]) -> None:
    """Have every secret of flags, environment and `.env` hidden, a malformed one too.

    A secret in a file is told when it is read (`secret_files`), for it may change while we run.
    """
    for level in (os.environ, dotenv_values()):
        for name in [*(name for _, name in secrets()), *OTHERS]:
            redaction.know_setting(name, level.get(name) or "")
    for field, name in secrets():
        redaction.know_setting(name, str(flags.get(field) or ""))
