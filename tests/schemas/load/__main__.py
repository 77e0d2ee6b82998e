"""`python -m schemas.load`: two databases under load, with workers killed; exit 1 if anything is wrong."""

import argparse
import json
import signal
import sys
from dataclasses import asdict

from schemas.load.plan import Plan
from schemas.load.run import run
from storm.plan import own_site

INTERRUPTED = 130


def main() -> int:
    given = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended all the same
    try:
        with own_site() as site:
            report = run(_plan(given), site, _say)
    except KeyboardInterrupt:
        return INTERRUPTED
    text = json.dumps(asdict(report), indent=2) if given.json else report.text()
    sys.stdout.write(f"{text}\n")
    return bool(report.wrong)


def _arguments() -> argparse.Namespace:
    parser, plan = argparse.ArgumentParser(prog="python -m schemas.load", description=__doc__), Plan()
    parser.add_argument("--minutes", type=float, default=plan.seconds / 60, help="of writes")
    parser.add_argument("--rate", type=float, default=plan.rate, help="transactions a second")
    parser.add_argument("--workers", type=int, default=plan.workers)
    parser.add_argument("--kill-every", type=float, default=plan.kill_every, help="seconds")
    parser.add_argument("--patience", type=float, default=plan.patience, help="seconds for the last document")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args()


def _plan(given: argparse.Namespace) -> Plan:
    return Plan(
        given.minutes * 60,
        given.seed,
        given.rate,
        given.workers,
        given.kill_every,
        patience=given.patience,
    )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
