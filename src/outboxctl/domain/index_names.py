"""Names of indexes: what an engine takes, and a column in braces whose value chooses one of several."""

import re

MOST_BYTES = 248  # the engine's limit, less the number of the index behind an alias
FORBIDDEN = '\\/*?"<>|,#:{}'
BRACES = re.compile(r"\{[^{}]+\}")
NUMBERED = re.compile(r"-\d{6}$")  # how the indexes behind an alias end


def broken_rule(name: str) -> str | None:
    """What of Elasticsearch's rules for names (9.0), or of ours, this one breaks; None if it breaks none."""
    broken = {
        "it must be lower case": name != name.lower(),
        "it must not be empty, nor begin with - _ + or .": not name or name[0] in "-_+.",
        f"it must have none of {FORBIDDEN}, nor spaces": not set(FORBIDDEN + " ").isdisjoint(name),
        "it must not hold control characters": not name.isprintable(),
        f"it must have at most {MOST_BYTES} bytes": len(name.encode(errors="replace")) > MOST_BYTES,
    }
    return next((rule for rule, is_broken in broken.items() if is_broken), None)


def may_meet(one: str, other: str) -> bool:
    """Whether these names, each perhaps with a column in braces, may stand for one index."""
    if "{" not in one + other:  # of hundreds of schemas each is compared with each
        return one == other
    patterns = sorted((BRACES.split(one), BRACES.split(other)), key=len)
    if len(patterns[0]) > 1:
        (before, after), (start, end) = patterns
        starts = before.startswith(start) or start.startswith(before)
        return starts and (after.endswith(end) or end.endswith(after))
    made = ".+".join(map(re.escape, patterns[1]))
    return re.fullmatch(f"{made}({NUMBERED.pattern})?", patterns[0][0]) is not None
