"""Secrets removed from any text: the known values, and what looks like one.

The values of all secret settings are added when settings are loaded. A text is redacted before it is cut: a
part of a secret is still secret, but no rule matches it.
"""

import re
import threading
from base64 import b64encode
from collections.abc import Mapping
from json import dumps
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
# A secret of one to three characters occurs in many words: to hide it there would destroy all output and
# reveal it. It is hidden by the patterns only: in URLs, parameters and headers.
SHORTEST = 4
# A shorter one may be a word of the language: it is hidden as a whole word, not within other words.
ANYWHERE = 12
# Words of this program's own messages, which must stay readable.
COMMON = frozenset(
    {"password", "postgres", "postgresql", "elastic", "elasticsearch", "opensearch", "outbox", "outboxctl"}
)
WINDOW = 100_000  # characters of a text to cut that are redacted
MARGIN = 1_000  # characters before the window's end that may be the beginning of a secret
SECRET_WORDS = ("pass", "secret", "token", "key")
# The parameters of libpq whose values are no secrets (the path of a secret is none). Any other name may be a
# misspelt `password`, which libpq refuses.
PUBLIC = re.compile(
    "host|hostaddr|port|dbname|user|passfile|service|servicefile|options|(fallback_)?application_name"
    "|client_encoding|connect_timeout|tcp_user_timeout|keepalives(_idle|_interval|_count)?|replication"
    "|channel_binding|require_auth|requirepeer|target_session_attrs|load_balance_hosts|krbsrvname"
    "|ssl(mode|negotiation|compression|cert|key|certmode|rootcert|crl|crldir|sni|keylogfile)"
    "|(ssl_)?(min|max)_protocol_version|gss(encmode|lib|delegation)|oauth_(issuer|client_id|scope)",
    re.I,
)

# `scheme://user:password@`, up to the last @: an unencoded one may be part of the password. Excepted are the
# example in our own messages and shell variables, which our commands to copy contain. All patterns are
# bounded, since an attacker may choose the text.
USERINFO = re.compile(r"""://(?!user:password@host)([^\s/?#:@"'<>]*):(?:(?!://)[^\s"'<>])*@""")
PARAMETER = re.compile(
    rf"""([?&](?!sslkey=)[\w.-]{{0,40}}?(?:{"|".join(SECRET_WORDS)})[\w.-]{{0,40}}=)[^\s&#"'<>]+""", re.I
)
QUERY = re.compile(r"[?&]([^?&=#\s]*)=([^&#\s]+)")
PASSWORD = re.compile(
    r"""(passw(?:or)?d\s{0,9}=\s{0,9})(?!["']?\$\{?[A-Za-z_])"""
    r"""(?:'(?:[^'\\]|\\.){0,999}'|"(?:[^"\\]|\\.){0,999}"|[^\s&"',;}]+)""",
    re.I,
)
# Of a libpq string or the query of a URL: user and database, which are no secrets.
NAMES = re.compile(r"(?:user|dbname)\s*=\s*'?([^\s&'\"]+)")
DSN = re.compile(r"passw(?:or)?d\s*=\s*(?:'((?:[^'\\]|\\.){0,999})'|([^\s&'\"]+))", re.I)
IN_JSON = re.compile(r"""(passw(?:or)?d\\?["']\s{0,9}:\s{0,9}\\?["'])[^"'\\]+""", re.I)
HEADER = re.compile(
    r"""(authorization\\?["']?\s{0,9}[:=]\s{0,9}b?\\?["']?(?!(?:\w{1,9}\s{1,9})?\$\{?[A-Za-z_])"""
    r"""(?:(?:basic|bearer|apikey|negotiate)\s{1,9})?)[^\s"'\\,;]+""",
    re.I,
)
BEFORE, AFTER = r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2}))", r"(?!\w)"  # of a word; an escape may end before it

_lock = threading.Lock()
_known: tuple[tuple[str, re.Pattern[str] | None], ...] = ()  # the longest first: one may be part of another


def add_secret(value: str) -> None:
    """Hide this secret from now on: as it is, percent-encoded, and escaped as in JSON or by Python's repr."""
    if len(value) >= SHORTEST and value.lower() not in COMMON:
        _add(_forms(value))


def add_login(user: str, password: str) -> None:
    """Hide a password, and the base64 of `user:password`, which a header of HTTP holds.

    A password that is the user's own name is hidden in its place only: the name stands in the audit and in
    messages of the server, which would be unreadable, and hiding it there would keep nothing secret.
    """
    if password != user:
        add_secret(password)
    if password:
        _add({b64encode(f"{user}:{password}".encode(errors="replace")).decode().rstrip("=")})


def add_setting(name: str, value: str) -> None:
    """Hide what the variable `name` holds: a URL's secrets, or all of it."""
    if name.endswith("_URL"):
        add_url(value)
    else:
        add_secret(value)


def add_url(urls: str) -> None:
    """Hide the secrets of one URL or several, comma-separated, or of a libpq string; it may be malformed.

    What is also the name of the user or the database in the same URL is hidden in its place only.
    """
    for url in re.split(r",(?=\w+://)", urls):
        userinfo, _, rest = url.rpartition("@")
        user, _, password = userinfo.rpartition("://")[2].partition(":")
        database = rest.partition("/")[2].partition("?")[0]
        public = {user, database, *NAMES.findall(url)}
        if password not in public:
            add_login(user, password)
            add_login(unquote(user), unquote(password))
        hidden = [value for name, value in QUERY.findall(url) if hides(unquote(name))]
        for secret in (*hidden, *(each for pair in DSN.findall(url) for each in pair)):
            if secret not in public:
                add_secret(secret)
                add_secret(unquote(secret))


def redact(text: str) -> str:
    """The text with `***` in place of every secret that is known, and of what looks like one."""
    for value, word in _known:
        if value in text:
            text = word.sub(MASK, text) if word else text.replace(value, MASK)
    return _patterns(text)


def redacted(value: Any) -> Any:
    """A structure of mappings, lists and tuples (which become lists), each text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redacted(key): redacted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


def cut(text: str, limit: int) -> str:
    """The first `limit` characters of what is left of a text of any length once it is redacted."""
    if len(text) <= WINDOW:
        return redact(text)[:limit]
    margin = max((len(value) for value, _ in _known), default=0) + MARGIN
    return redact(text[: max(WINDOW, limit) + margin])[:-margin][:limit]


def hides(name: str) -> bool:
    """Whether a URL's parameter of this name may hold a secret."""
    return not PUBLIC.fullmatch(name)


def _add(forms: set[str]) -> None:
    global _known  # noqa: PLW0603 - what a process knows is one for all of it
    with _lock:
        old = dict(_known)
        if forms - old.keys():
            all_ = old | {form: _word(form) for form in forms - old.keys()}
            _known = tuple(sorted(all_.items(), key=lambda each: -len(each[0])))


def _word(form: str) -> re.Pattern[str] | None:
    return None if len(form) >= ANYWHERE else re.compile(f"{BEFORE}{re.escape(form)}{AFTER}")


def _forms(value: str) -> set[str]:
    sent = value.encode(errors="replace")
    encoded = {quote(sent), quote(sent, safe="")}
    lower = {re.sub("%..", lambda hexed: hexed.group().lower(), each) for each in encoded}
    escaped = {dumps(value)[1:-1], dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    return {value, *encoded, *lower, *escaped}


def _patterns(text: str) -> str:
    """Redact what looks like a secret; a search for a word first is cheaper than any pattern."""
    if "://" in text:
        text = USERINFO.sub(rf"://\1:{MASK}@", text)
    if "=" in text:
        text = PARAMETER.sub(rf"\1{MASK}", text)
    lower = text.lower()
    if "passw" in lower:
        text = IN_JSON.sub(rf"\1{MASK}", PASSWORD.sub(rf"\1{MASK}", text))
    return HEADER.sub(rf"\1{MASK}", text) if "authorization" in lower else text
