"""What AWS does before a request reaches a domain: it makes the signature again, by botocore's own code.

The path and the parameters are those that a server has once it has decoded them, so a request whose
spelling is not AWS's own is refused, too.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tls import Whole

if TYPE_CHECKING:
    from collections.abc import Callable

REGION = "eu-central-2"
SECRET = "wJalr/X+UtnFEMI"
TIME = "%Y%m%dT%H%M%SZ"
SKEW = timedelta(minutes=5)


@dataclass
class Aws:
    """An account: its keys (secret and token by access key), and the service that is asked.

    `clock`: its distance from this machine's. `denies`: known keys may not.
    `used`: the access key of the last request.
    """

    service: str = "es"
    keys: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    clock: timedelta = timedelta()
    denies: bool = False
    used: str = ""

    def environment(self, key: str = "AKIDEXAMPLE", secret: str = SECRET, **more: str) -> dict[str, str]:
        """Of a process with this key, known from now on."""
        self.keys.setdefault(key, (secret, more.get("AWS_SESSION_TOKEN")))
        own = {"OUTBOX_AWS_SERVICE": self.service, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}
        none = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        return own | none | {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret} | more

    def check(self, whole: Whole) -> tuple[int, bytes] | None:
        """Status and body of a refusal in AWS's words; None for a request that may pass."""
        words = self._refusal(*whole)
        if self.service == "es":
            return (403, json.dumps({"message": words}).encode()) if words else None
        forbidden = {"status": 403, "error": {"reason": "403 Forbidden", "type": "Forbidden"}}
        return (403, json.dumps(forbidden).encode()) if words else _unknown_to_serverless(whole)

    def _refusal(self, method: str, target: str, headers: Message, body: bytes) -> str | None:
        kind, _, given = headers.get("authorization", "").partition(" ")
        action = f"es:ESHttp{method.title()}"
        if kind != "AWS4-HMAC-SHA256":
            return f"User: anonymous is not authorized to perform: {action} because no policy allows it"
        parts = dict(part.strip().split("=", 1) for part in given.split(","))
        key, _, region, service, _ = parts["Credential"].split("/")
        self.used = key
        now, sent = datetime.now(UTC) + self.clock, headers["x-amz-date"]
        when, signed = datetime.strptime(sent, TIME).replace(tzinfo=UTC), parts["SignedHeaders"].split(";")
        secret, token = self.keys.get(key, ("", None))
        must = {"host", *(name.lower() for name in headers if name.lower().startswith("x-amz-"))}
        wrong: list[tuple[bool, Callable[[], str]]] = [
            (not secret or headers.get("x-amz-security-token") != token, lambda: INVALID),
            (region != REGION, lambda: f"Credential should be scoped to a valid region, not '{region}'. "),
            (
                service != self.service,
                lambda: f"Credential should be scoped to correct service: '{self.service}'. ",
            ),
            (when < now - SKEW, lambda: f"Signature expired: {sent} is now earlier than {now - SKEW:{TIME}}"),
            (
                when > now + SKEW,
                lambda: f"Signature not yet current: {sent} is still later than {now:{TIME}}",
            ),
            (headers.get("x-amz-content-sha256") != sha256(body).hexdigest(), lambda: MISMATCH),
            (bool(must - {*signed}) or "content-length" in signed, lambda: MISMATCH),
        ]
        if words := next((say() for is_wrong, say in wrong if is_wrong), None):
            return words
        request = AWSRequest(method, f"https://{headers['host']}{spelled(target)}", data=body)
        for name in signed:
            request.headers[name] = headers[name]
        request.context["timestamp"] = sent
        auth = SigV4Auth(Credentials(key, secret, token), service, region)
        canonical = auth.canonical_request(request)
        if auth.signature(auth.string_to_sign(request, canonical), request) != parts["Signature"]:
            return f"{MISMATCH}\n\nThe Canonical String for this request should have been\n'{canonical}'\n"
        who = f"User: arn:aws:iam::123456789012:user/{key}"
        return f"{who} is not authorized to perform: {action}" if self.denies else None


INVALID = "The security token included in the request is invalid."
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key and signing method. Consult the service documentation for details."
)


# What a Serverless collection knows of what we may ask: "Supported OpenSearch API operations" in AWS's guide.
SERVERLESS = (
    ("GET|HEAD|PUT|DELETE", "/[^_/][^/]*"),
    ("GET|PUT", "/[^/]+/_(mapping|settings)"),
    ("POST", "(/[^_/][^/]*)?/_bulk"),
    ("GET|POST", "/[^/]+/_(search|count|mget)"),
    ("GET|HEAD", "/_alias(/[^/]+)?"),
    ("POST", "/_aliases"),
)
ITS_OWN = ("number_of_shards", "number_of_replicas", "gc_deletes", "refresh=")


def _unknown_to_serverless(whole: Whole) -> tuple[int, bytes] | None:
    method, target, _, body = whole
    path = target.partition("?")[0]
    if not any(re.fullmatch(methods, method) and re.fullmatch(paths, path) for methods, paths in SERVERLESS):
        return 404, b""
    refused = any(word in target or (method == "PUT" and word.encode() in body) for word in ITS_OWN)
    return (400, b'{"error":{"type":"illegal_argument_exception"},"status":400}') if refused else None


def spelled(target: str) -> str:
    """A target once its parts were decoded and encoded as AWS does."""
    path, _, query = target.partition("?")
    there = "/".join(quote(unquote(part), safe="") for part in path.split("/"))
    pairs = parse_qsl(query, keep_blank_values=True)
    return there + "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
