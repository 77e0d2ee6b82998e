"""`make alerts`: rules, their tests and the example by promtool, the example for Alertmanager by amtool."""

import subprocess
import sys
from pathlib import Path

from metrics.alerts.programs import program
from outboxctl.domain.errors import ExitCode, UsageError

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "deploy" / "prometheus"


def main() -> int:
    """0 if all is well; 2 if the programs are not to be had."""
    try:
        promtool, amtool = program("promtool"), program("amtool")
    except UsageError as error:
        sys.stderr.write(f"{error}; {error.hint}\n")
        return ExitCode.USAGE
    checks = [
        [promtool, "check", "rules", str(SHIPPED / "outbox.rules.yml")],
        [promtool, "check", "config", str(SHIPPED / "prometheus.yml")],
        [promtool, "test", "rules", *map(str, sorted(Path(__file__).parent.glob("*.yml")))],
        [amtool, "check-config", str(SHIPPED / "alertmanager.yml")],
    ]
    return max(subprocess.run(check, check=False, timeout=300).returncode for check in checks)


if __name__ == "__main__":
    sys.exit(main())
