"""`python -m storm`: one storm on servers of its own; exit 1 if anything is not as it must be."""

import argparse
import signal
import sys

from storm.plan import Plan, own_site
from storm.storm import run

INTERRUPTED = 130


def main() -> int:
    given = vars(_arguments())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended all the same
    try:
        with own_site(given.pop("nodes")) as site:
            report = run(Plan(**given), site, _say)
    except KeyboardInterrupt:
        return INTERRUPTED
    if sys.stderr.isatty():
        sys.stderr.write("\n")  # the progress line ends here
    sys.stdout.write(f"{report.text()}\n")
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
    parser.add_argument(
        "--transactions", type=int, default=plan.transactions, help="of the shop; 0: no projection"
    )
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--policy", choices=["hold", "count"], default=plan.policy, help="of outages")
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=1, help="of the engine")
    return parser.parse_args()


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def _say(text: str) -> None:
    """A line that is written over on a terminal; elsewhere one below the other."""
    sys.stderr.write(f"\r\x1b[K{text}" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
