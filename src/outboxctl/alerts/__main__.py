"""`python -m outboxctl.alerts`: the rules as they ship, whatever the settings here say."""

import sys

from outboxctl.alerts.model import Limits
from outboxctl.alerts.rules import rule_file
from outboxctl.alerts.table import alerts

sys.stdout.write(rule_file(alerts(Limits())))
