"""`python -m outboxctl.metrics.alerts`: the rules as they ship, whatever the settings here say."""

import sys

from outboxctl.metrics.alerts.queries import AlertLimits
from outboxctl.metrics.alerts.rules import alerts, rule_file

sys.stdout.write(rule_file(alerts(AlertLimits())))
