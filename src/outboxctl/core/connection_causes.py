"""Why PostgreSQL cannot be reached, in our own words: for the probes, which anybody may ask."""

import re

NAMES = re.compile('"[^"]*"')  # a user or a database may be called anything, `timeout` too
# Of the texts of libpq and the server (fe-connect.c, fe-misc.c, postmaster.c, auth.c in PostgreSQL's sources)
# the first sign that is found says which sentence is meant. The texts themselves name users and databases.
CAUSES = (
    (
        ("too many connections", "too many clients", "remaining connection slots", "no more connections"),
        "too many connections",
    ),
    (
        ("password", "pg_hba.conf", "authentication", 'role "'),
        "the login was refused: user, password or pg_hba.conf",
    ),
    (("Connection refused",), "connection refused: no server listens there"),
    (
        ("could not translate host name", "Name or service not known", "name resolution"),
        "the host's name is not known",
    ),
    (("No route to host", "unreachable"), "no route to the host"),
    (("read-only", "read only", "hot standby"), "the server is read-only"),
    (
        ("starting up", "shutting down", "recovery", "terminating connection", "administrator command"),
        "the server starts, stops or recovers",
    ),
    (("No space left",), "the server's disk is full"),
    (("does not exist",), "there is no such database"),
    (("timeout", "timed out"), "no answer in time"),
    (("closed", "reset", "lost", "Broken pipe", "EOF", "bad"), "the connection was closed"),
)
UNKNOWN = "it cannot be used: the log says why"


def public_cause(text: str) -> str:
    """The sentence for a text of libpq or the server; a general one for any other text."""
    text = NAMES.sub('""', text)
    return next((ours for signs, ours in CAUSES if any(sign in text for sign in signs)), UNKNOWN)
