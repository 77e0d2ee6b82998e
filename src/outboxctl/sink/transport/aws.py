"""Requests signed for AWS (SigV4) by botocore, and what to check where AWS refuses one."""

import logging
import threading
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.domain.redaction import add_secret

TOKENS = {"connect_timeout": 3, "read_timeout": 5, "retries": {"total_max_attempts": 2}}  # of the STS service
CLOCK = "the clock of this machine is wrong: set it, by NTP"
# By words of a refusal. Sources: the answers that AWS documents, and issues of its clients.
ADVICE = {
    "Signature expired": CLOCK,
    "Signature not yet current": CLOCK,
    "token included in the request is expired": "its temporary keys have ended: renew them, or use a role",
    "token included in the request is invalid": "AWS does not know this access key, or its session token",
    "signature we calculated": "check the secret key, and that no proxy changes Host, path or body",
    "scoped to a valid region": "AWS_REGION must be that of the domain",
    "scoped to correct service": "OUTBOX_AWS_SERVICE is es for a domain, aoss for a Serverless collection",
    "User: anonymous": "the request was not signed: set OUTBOX_AWS_SERVICE=es",
    "is not authorized to perform": "allow es:ESHttp* on the domain to it, by IAM or an access policy",
    "[name=arn:aws": "map this ARN to a role of the domain's fine-grained access control",
    "403 Forbidden": "on Serverless check the data access policy, aoss:APIAccessAll and the network policy",
}
# What follows quotes the request as AWS has read it, its session token included.
QUOTE = "\n\nThe Canonical String"


class CredentialsError(Exception):
    """botocore finds no credentials, or cannot renew them."""


class Signer:
    """Signs requests to one service in one region. Safe to use from several threads.

    The credentials are those of botocore's chain: environment, profile, web identity, container, instance.
    Temporary ones are renewed in time. Raises UsageError without botocore or a region.
    """

    def __init__(self, service: str, region: str | None) -> None:
        try:
            from botocore.config import Config  # noqa: PLC0415 - an extra, and slow to load
            from botocore.session import Session  # noqa: PLC0415
        except ImportError:
            hint = "pip install 'outboxctl[aws]'"
            raise UsageError("OUTBOX_AWS_SERVICE is set, and botocore is not installed", hint=hint) from None
        logging.getLogger("botocore").addHandler(logging.NullHandler())  # what it has to say, it raises
        self._session, self._lock = Session(), threading.Lock()
        self._session.set_default_client_config(Config(**TOKENS))
        self._service, self._region = service, region or _asked(self._session)
        self._hidden: Any = None  # the credentials that no text shows

    def __call__(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
        """The headers that prove who sends this very request. Raises CredentialsError.

        Only Host and those of AWS are signed: what stands between may change any other.
        """
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        request = AWSRequest(method, url, data=body or b"")
        signature = SigV4Auth(self._credentials(), self._service, self._region)
        request.headers["X-Amz-Content-SHA256"] = signature.payload(request)  # Serverless asks for it
        signature.add_auth(request)
        return dict(request.headers.items())

    def _credentials(self) -> Any:
        """Key, secret and token that belong together, whatever other threads renew meanwhile."""
        try:
            with self._lock:  # the first thread looks for them
                found = self._session.get_credentials()
            frozen = found and found.get_frozen_credentials()
        except Exception as error:  # of botocore, its HTTP client, or a program that a profile names
            raise CredentialsError(f"the AWS credentials cannot be read or renewed: {error}") from error
        if not frozen:
            where = "in the environment, a profile, or the role of this container or instance"
            raise CredentialsError(f"there are no AWS credentials {where}")
        if frozen != self._hidden:  # they may be of no setting, and AWS's refusals quote the request
            self._hidden = frozen
            for secret in filter(None, (frozen.secret_key, frozen.token)):
                add_secret(secret)
        return frozen


def _asked(session: Any) -> str:
    """The region of AWS_DEFAULT_REGION or the profile. UsageError."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        region = session.get_config_variable("region")
    except BotoCoreError as error:
        raise UsageError(f"the AWS configuration cannot be read: {error}") from None
    if not region:
        hint = "export AWS_REGION=eu-west-1  # that of the domain or collection"
        raise UsageError("OUTBOX_AWS_SERVICE is set, and no region", hint=hint)
    return str(region)


def advised(refusal: str) -> str:
    """The words of a refusal (401, 403), and what to check where they are AWS's."""
    advice = next((text for sign, text in ADVICE.items() if sign in refusal), "")
    return f"{refusal.rstrip()} ({advice})" if advice else refusal
