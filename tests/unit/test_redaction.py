"""Secrets are taken out of any text: those that are known, and what looks like one."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from time import process_time
from unittest.mock import patch
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from outboxctl.domain import redaction
from outboxctl.domain.printable import brief, clean
from outboxctl.domain.redaction import cut, redact

pytestmark = pytest.mark.no_servers
SECRET = "c4n/ry@Käse %\\\"'&+:x"


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    with patch.object(redaction, "_known", ()):
        yield


def test_a_text_without_a_secret_stays_as_it_is() -> None:
    redaction.add_secret("hunter2-hunter2")
    for text in (
        "expected postgresql://user:password@host:5432/name",
        "special characters in user and password: / is %2F, @ is %40",
        "see https://example.org/docs?page=2#top and mail ops@example.org",
        'curl -H "Authorization: ApiKey $ELASTIC_API_KEY" http://h:1',
        'PGPASSWORD="${PASSWORD}" psql; PASSWORD=$OTHER psql',
        "export ELASTIC_API_KEY_FILE=/run/secrets/elastic-api-key",
        "重放 [/nope] café 🙂",
    ):
        assert redact(text) == text


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        re.sub("%..", lambda hexed: hexed.group().lower(), quote(SECRET, safe="")),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        f"Authorization: Basic {b64encode(f'elastic:{SECRET}'.encode()).decode()}",
    ],
)
def test_a_known_secret_is_found_as_it_is_in_a_url_in_json_and_in_a_traceback(written: str) -> None:
    redaction.add_secret(SECRET)
    redaction.add_login("elastic", SECRET)
    seen = redact(f"before {written} after")
    assert seen.startswith("before")
    assert seen.endswith("after")
    for part in ("c4n", "Käse", "K%C3%A4se", written):
        assert part not in seen


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://u:s3cr%40t%2Fx@h/d", ["s3cr%40t%2Fx", "s3cr@t/x"]),
        ("http://u:one-pass@h:1,http://v:two-pass@h:2", ["one-pass", "two-pass"]),
        ("postgresql://u:in@val/id%zz@h/d", ["in@val/id%zz"]),
        ("postgresql://u:unclosed@[h/d", ["unclosed"]),
        ("postgresql://h/d?password=in-query&sslpassword=other-one", ["in-query", "other-one"]),
        ("postgresql://h/d?sslmode=verify-full&pasword=misspelt%21", ["misspelt%21", "misspelt!"]),
        ("host=h password=in-a-dsn", ["in-a-dsn"]),
        ("host=h password='in a dsn'", ["in a dsn"]),
        ("http://h:1?api_key=some-api-key", ["some-api-key"]),
    ],
)
def test_the_secrets_of_a_url_are_known_however_it_is_written(url: str, secrets: list[str]) -> None:
    redaction.add_url(url)
    for secret in secrets:
        assert redact(f"said {secret}.") == "said ***."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read postgresql://u:hunter2@h/d.", "cannot read postgresql://u:***@h/d."),
        ('in URI: "postgresql://u:hunter2@[h/d"', 'in URI: "postgresql://u:***@[h/d"'),
        ("http://u:hunter2@h,http://v:hunter2@i", "http://u:***@h,http://v:***@i"),
        ("postgresql://u:hun@ter2/@h/d", "postgresql://u:***@h/d"),
        ("host=h password=hunter2 user=u", "host=h password=*** user=u"),
        ("PGPASSWORD='hun ter2' psql", "PGPASSWORD=*** psql"),
        ('{"password": "hunter2"}', '{"password": "***"}'),
        ("GET /?token=hunter2&x=1", "GET /?token=***&x=1"),
        ("Authorization: ApiKey hunter2", "Authorization: ApiKey ***"),
        ("{'Authorization': 'Basic aHVudGVyMg=='}", "{'Authorization': 'Basic ***'}"),
        ("authorization=hunter2", "authorization=***"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_too(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


def test_a_secret_of_few_characters_destroys_no_text() -> None:
    for short in ("", "x", "ab", "pas"):
        redaction.add_secret(short)
    assert redact("a box, a tab, a path: pas") == "a box, a tab, a path: pas"
    redaction.add_url("postgresql://u:ab@h/d")
    assert redact("postgresql://u:ab@h/d") == "postgresql://u:***@h/d", "in its place it is hidden"


def test_a_secret_that_is_a_word_is_hidden_as_a_word_and_not_within_others() -> None:
    redaction.add_secret("search")
    assert redact("the login 'search' is refused: research, search_index") == (
        "the login '***' is refused: research, search_index"
    )
    assert redact("%3Asearch%40") == "%3A***%40", "an escape before it is no letter of it"
    redaction.add_secret("postgres")
    assert redact("postgres speaks postgresql") == "postgres speaks postgresql", "what we say all the time"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://wordloom:wordloom@h/d",
        "postgresql://u:wordloom@h:5432/wordloom?sslmode=require",
        "http://wordloom:wordloom@h:9200",
        "http://h:1,http://wordloom:wordloom@h:9200",
        "host=h user=wordloom password=wordloom dbname=d",
        "postgresql://h/d?user=wordloom&password=wordloom",
    ],
)
def test_a_login_whose_password_is_its_own_name_stays_readable(url: str) -> None:
    redaction.add_url(url)
    assert redact("logged in as wordloom") == "logged in as wordloom"
    assert ":wordloom@" not in redact(url), "in its place it is hidden"
    assert "password=wordloom" not in redact(url)


def test_a_cut_does_not_leave_half_a_secret() -> None:
    redaction.add_secret("abcdefghijklmnop")
    for limit in range(1, 40):
        assert "abc" not in cut("0123456789 abcdefghijklmnop", limit)
        assert "abc" not in brief("0123456789 abcdefghijklmnop", limit)
    huge = "x" * (redaction.WINDOW - 8) + "abcdefghijklmnop"
    assert "abc" not in cut(huge, len(huge))
    assert "hunter" not in brief("x" * 20 + " http://u:hunter2@h", 35)


def test_what_is_cleaned_is_redacted() -> None:
    redaction.add_secret("abc\u202edefgh")
    assert clean("x abc\u202edefgh") == "x ***"


@given(st.text(max_size=200), st.text(st.characters(codec="utf-8"), min_size=12, max_size=40))
@settings(derandomize=True, max_examples=200)
def test_any_secret_is_found_in_any_text(text: str, secret: str) -> None:
    assume(secret.lower() not in redaction.COMMON)
    with patch.object(redaction, "_known", ()):
        redaction.add_secret(secret)
        for written in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
            assert written not in redact(f"{text}{written}{text}") or written in redact("***")


@pytest.mark.parametrize(
    "text", ["x", "password", "password='", "?a", "://", "://u:", "authorization ", "=", "&key"]
)
def test_a_text_that_an_enemy_chose_takes_no_time(text: str) -> None:
    """Of a megabyte that fits none of the patterns, each character is looked at a few times only."""
    for know in ("longer-than-a-word", "word"):
        redaction.add_secret(know)
    began = process_time()
    redact("password = authorization: " + text * (1_000_000 // len(text)))
    assert process_time() - began < 10  # seconds; what is quadratic takes hours
