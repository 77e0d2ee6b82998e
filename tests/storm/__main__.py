"""`python -m storm`: one storm on servers of its own; exit 1 if anything is not as it must be."""

import argparse
import json
import signal
import sys
from dataclasses import asdict

from storm.plan import Plan
from storm.run import run
from storm.site import own_site

INTERRUPTED = 130


def main() -> int:
    given = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended all the same
    try:
        with own_site() as site:
            report = run(_plan(given), site, _say)
    except KeyboardInterrupt:
        return INTERRUPTED
    if sys.stderr.isatty():
        sys.stderr.write("\n")  # the progress line ends here
    text = json.dumps(asdict(report), indent=2) if given.json else report.text()
    sys.stdout.write(f"{text}\n")
    return bool(report.wrong)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m storm", description=__doc__)
    plan = Plan()
    parser.add_argument(
        "--events", type=_positive, default=plan.events, help="events that the application writes"
    )
    parser.add_argument(
        "--kills", type=_positive, default=plan.kills, help="blows to workers, as many of each kind"
    )
    parser.add_argument("--workers", type=int, default=plan.workers, choices=range(2, 5))
    parser.add_argument(
        "--transactions",
        type=int,
        default=plan.transactions,
        help="transactions of the shop, whose documents a projection makes; 0: no projection",
    )
    parser.add_argument(
        "--stock", type=_positive, default=plan.stock, help="documents of the shop behind one row"
    )
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args()


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def _plan(given: argparse.Namespace) -> Plan:
    return Plan(
        given.events,
        given.kills,
        given.workers,
        seed=given.seed,
        transactions=given.transactions,
        stock=given.stock,
    )


def _say(text: str) -> None:
    """A line that is written over on a terminal; elsewhere one below the other."""
    sys.stderr.write(f"\r\x1b[K{text}" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
