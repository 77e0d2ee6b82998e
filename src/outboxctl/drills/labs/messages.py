"""What the labs say, in English, which is in the code, or in Chinese, which is in `messages.zh.toml`.

That is one file of pairs, read by the standard library: gettext would need a compiler at build time, and
twice the lines.
A message with values is there once, with `{}` for each value; what a value says is looked up, too.
"""

import re
import tomllib
from functools import cache
from pathlib import Path

CHINESE = Path(__file__).with_name("messages.zh.toml")
COMMENT = re.compile(r"(?:^|(?<=  ))# (.+)$")  # of a shell command: a whole line, or after two spaces


@cache
def catalogue() -> dict[str, str]:
    """Return every message, English to Chinese."""
    return tomllib.loads(CHINESE.read_text(encoding="utf-8"))


@cache
def in_language(text: str, language: str) -> str:
    """A message in `en` or `zh`; English where there is no Chinese for it."""
    if language != "zh":
        return text
    if text in catalogue():
        return catalogue()[text]
    for pattern, chinese in _patterns():
        if match := pattern.fullmatch(text):
            return chinese.format(*(in_language(value, language) for value in match.groups()))
    return text


def command(line: str, language: str) -> str:
    """A shell command, its comment in this language."""
    return COMMENT.sub(lambda match: f"# {in_language(match[1], language)}", line)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The messages with values; those with most text of their own come first."""
    found = [(english, chinese) for english, chinese in catalogue().items() if "{}" in english]
    found.sort(key=lambda pair: -len(pair[0]))
    parts = [(map(re.escape, english.split("{}")), chinese) for english, chinese in found]
    return [(re.compile("(.+?)".join(each), re.DOTALL), chinese) for each, chinese in parts]
