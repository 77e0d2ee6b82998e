"""`python -m outboxctl.metrics.alerts`: the rules as they ship, whatever the settings here say."""

import sys

from outboxctl.metrics.alerts.model import AlertLimits
from outboxctl.metrics.alerts.rules import rule_file
from outboxctl.metrics.alerts.table import alerts

sys.stdout.write(rule_file(alerts(AlertLimits())))
