"""`make mutants`: each broken build must be caught by its test. Names as arguments choose some of them."""

import sys
from time import monotonic

import servers
from mutants.catalogue import load
from mutants.laboratory import Laboratory


def main(names: list[str]) -> int:
    """0 if every chosen mutant was caught."""
    mutants = [mutant for mutant in load() if not names or mutant.name in names]
    with servers.started() as both:
        laboratory = Laboratory(both)
        healthy = laboratory.healthy(sorted({mutant.test for mutant in mutants}))
        say(f"unbroken: {healthy.summary}")
        if healthy.code:
            say(healthy.output)
            return 1
        verdicts = []
        for number, mutant in enumerate(mutants, 1):
            began = monotonic()
            verdict, text = laboratory.verdict(mutant)
            took = monotonic() - began
            say(f"{number:2}/{len(mutants)} {verdict:8} {took:5.1f} s  {mutant.name}: {text}")
            verdicts.append(verdict)
    caught = verdicts.count("caught")
    say(f"{caught} of {len(mutants)} caught")
    return 0 if caught == len(mutants) > 0 else 1


def say(line: str) -> None:
    """Show at once, also in a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
