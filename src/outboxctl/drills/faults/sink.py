"""Whether the sink answers a request without credentials."""

from http import HTTPStatus

from outboxctl.domain.errors import InconclusiveError, UnreachableError, UsageError
from outboxctl.drills.services import sockets
from outboxctl.drills.services.process import within
from outboxctl.net.urls import mask, without_credentials
from outboxctl.settings import Settings

ANSWER_SECONDS = 1.0
AWAY_SECONDS, BACK_SECONDS = 30.0, 90.0
ENDING_SECONDS = 5.0  # for a process that may be ending


def only(settings: Settings) -> str:
    """The sink's URL, without credentials. UsageError where there are several."""
    if len(settings.sink_urls) > 1:
        shown = ", ".join(map(mask, settings.sink_urls))
        raise UsageError(f"which of them: {shown}?", hint="name one: `outboxctl --elastic-url URL …`")
    return without_credentials(settings.sink_urls[0])


def answers(url: str) -> bool:
    """Whether it answers with anything below 500; a refusal for want of credentials is an answer."""
    return 0 < sockets.get(url, seconds=ANSWER_SECONDS)[0] < HTTPStatus.INTERNAL_SERVER_ERROR


def goes_away(url: str, seconds: float = ENDING_SECONDS) -> bool:
    """Whether it stops answering within so many seconds."""
    return within(seconds, lambda: not answers(url))


def wait_away(url: str) -> None:
    """Wait until it does not answer. InconclusiveError if it still does."""
    if not goes_away(url, AWAY_SECONDS):
        hint = "what was stopped is not what ELASTIC_URL names, or it was started again"
        raise InconclusiveError(f"{url} still answers after {AWAY_SECONDS:g} s", hint=hint)


def wait_back(url: str) -> None:
    """Wait until it answers. UnreachableError if it does not."""
    if not within(BACK_SECONDS, lambda: answers(url)):
        raise UnreachableError(f"{url} does not answer after {BACK_SECONDS:g} s", hint="look at its log")
