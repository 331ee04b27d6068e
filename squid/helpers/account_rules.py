"""What a ticket of the profile `aws-api` opens: reading one account, with one key.

Buckets are the ticket's by name.  Where it says "account" instead, any bucket may be asked about at one
host, the S3 of the gateway's own region: that way leads through the gateway's S3 endpoint, whose policy lets
nothing pass but the buckets of audited accounts, and S3 logs for nobody what an endpoint refused.

The operation is read off wherever the service's protocol puts it: the header `X-Amz-Target`, the path, or
the query.  Where it stands in a posted form, the gateway cannot see it, and the scan's session policy
decides alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from glovebox.tickets.claims import AwsApiClaims
from squid.helpers.aws_interfaces import QUERY, READ_POSTS, REST, TARGET_PREFIXES
from squid.helpers.contents import CONTENTS
from squid.helpers.credentials import check_authorization, check_query, layers
from squid.helpers.labels import AWS_SUFFIX, service_label
from squid.helpers.refusals import RequestRefusedError
from squid.helpers.request import ABSENT, Request
from squid.helpers.verbs import reads
from squid.unauthenticated_operations import ACTIONS, ROUTES, TARGETS

HTTPS_PORT = "443"
CALLER_IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"
CALLER_IDENTITY_LENGTH = str(len(CALLER_IDENTITY))
"""The body of a POST is not seen, its length is.  Neither AssumeRoleWithWebIdentity nor AssumeRoleWithSAML,
which need no signature, fits into 43 bytes: role and token are at least 20 and 4 characters."""
_BUCKET_SUFFIX = ".s3"
_CONTROL_SUFFIX = ".s3-control"
_ORDINARY_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_ALIAS = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3", ".mrap")
"""How names end that S3 keeps for access points, directories and tables; no ordinary bucket's does."""

_URL = re.compile(r"https://([a-z0-9.-]+)(?::443)?(/[^?#]*)?(?:\?([^#]*))?")
_SMITHY_RPC = re.compile(r"/service/(\w+)/operation/(\w+)", re.ASCII)


class _Asked(NamedTuple):
    """A request to AWS, taken apart."""

    method: str
    path: str
    query: str
    target: str


def judge_account_request(claims: AwsApiClaims, request: Request, now: float, region: str) -> None:
    """Raises RequestRefusedError unless `request`, at the door or inside TLS, may leave with this ticket.

    `region` is the gateway's; without one, a ticket opens the buckets that it names and no other.
    """
    label = service_label(request.host)
    if not label or request.port != HTTPS_PORT:
        raise RequestRefusedError("not_aws")
    if request.method == "CONNECT":
        _check_host(claims, label, request.host, region)
        return
    url = _URL.fullmatch(request.url)
    if url is None or url[1] != request.host:
        raise RequestRefusedError("url_malformed")
    check_authorization(request.authorization, claims.key, now)
    asked = _Asked(request.method, url[2] or "/", url[3] or "", request.target)
    check_query(asked.query)
    _check_body(request)
    _check_host(claims, label, request.host, region)
    _check_form(label, asked, request.content_type)
    if label == "sts":
        _check_token_service(asked, request)
    elif label == "s3" or label.endswith(_BUCKET_SUFFIX):
        _check_storage(claims, label, asked, request.host, region)
    elif label.endswith(_CONTROL_SUFFIX):
        _check_reading_method(asked)
    else:
        _check_operation(label, asked)


def _check_host(claims: AwsApiClaims, label: str, host: str, region: str) -> None:
    """A bucket's or an account's name may stand in the host already."""
    if label.endswith(_BUCKET_SUFFIX):
        _check_bucket(claims, label.removesuffix(_BUCKET_SUFFIX), host, region)
    elif label.endswith(_CONTROL_SUFFIX):
        if label.removesuffix(_CONTROL_SUFFIX) != claims.account:
            raise RequestRefusedError("foreign_account")
    elif label not in {"s3", "sts"} and not (label in QUERY or label in REST or label in TARGET_PREFIXES):
        raise RequestRefusedError("unknown_service")


def _check_body(request: Request) -> None:
    """A question has no body: what reads one there would find another operation than was judged."""
    framed = request.content_length not in {ABSENT, "0"} or request.transfer_encoding != ABSENT
    if request.method in {"GET", "HEAD"} and framed:
        raise RequestRefusedError("body_of_question")


def _check_form(label: str, asked: _Asked, content_type: str) -> None:
    """Forms are for the query protocol only; those with files, by which S3 takes uploads, for nothing."""
    kind = content_type.lower()
    if "multipart/" in kind:
        raise RequestRefusedError("form_post")
    urlencoded = "x-www-form-urlencoded" in kind
    if urlencoded and not (
        (label in QUERY or label == "sts") and asked.target == ABSENT and asked.path == "/"
    ):
        raise RequestRefusedError("form_post")


def _check_token_service(asked: _Asked, request: Request) -> None:
    posted = (
        asked.method == "POST"
        and not asked.query
        and request.content_length == CALLER_IDENTITY_LENGTH
        and request.transfer_encoding == ABSENT
    )
    got = asked.method == "GET" and asked.query == CALLER_IDENTITY
    if asked.path != "/" or asked.target != ABSENT or not (posted or got):
        raise RequestRefusedError("sts_operation")


def _check_bucket(claims: AwsApiClaims, bucket: str, host: str, region: str) -> None:
    if claims.buckets != "account":
        if bucket not in claims.buckets:
            raise RequestRefusedError("foreign_bucket")
    # Other names lead elsewhere: `<bucket>.s3.amazonaws.com` to the region of whoever owns the bucket.
    elif not region or host not in {f"s3.{region}{AWS_SUFFIX}", f"{bucket}.s3.{region}{AWS_SUFFIX}"}:
        raise RequestRefusedError("bucket_elsewhere")
    elif not _ORDINARY_BUCKET.fullmatch(bucket) or bucket.endswith(_ALIAS):
        raise RequestRefusedError("foreign_bucket")


def _check_storage(claims: AwsApiClaims, label: str, asked: _Asked, host: str, region: str) -> None:
    """The list of buckets, and what there is to read of the ticket's own; in either style of address."""
    _check_reading_method(asked)
    bucket, slash, key = asked.path[1:].partition("/")
    if label != "s3":
        bucket, slash, key = label.removesuffix(_BUCKET_SUFFIX), "", asked.path[1:]
    if not bucket and not slash:
        return
    _check_bucket(claims, bucket, host, region)
    if key:
        raise RequestRefusedError("s3_object")


def _check_reading_method(asked: _Asked) -> None:
    if asked.method not in {"GET", "HEAD"} or asked.target != ABSENT:
        raise RequestRefusedError("writing_operation")


def _check_operation(label: str, asked: _Asked) -> None:
    _check_signed_route(asked)
    rpc = _SMITHY_RPC.fullmatch(asked.path)
    if asked.target != ABSENT:
        # The path may name an operation as well; which of the two counts is for nobody to choose.
        if asked.path != "/":
            raise RequestRefusedError("unknown_operation")
        _check_target(label, asked, *asked.target.rpartition(".")[::2])
    elif rpc is not None:
        _check_target(label, asked, rpc[1], rpc[2])
    elif asked.path == "/" and label in QUERY:
        _check_action(asked)
    elif label in REST:
        _check_route(label, asked)
    else:
        raise RequestRefusedError("unknown_operation")


def _check_signed_route(asked: _Asked) -> None:
    """Compares loosely, as what stands on the list must not pass in any spelling."""
    for path in layers(asked.path.lower()):
        if _unsigned_paths().fullmatch("/" + "/".join(filter(None, path.lower().split("/")))):
            raise RequestRefusedError("unauthenticated_operation")


def _check_target(label: str, asked: _Asked, prefix: str, operation: str) -> None:
    if prefix not in TARGET_PREFIXES.get(label, ()) or asked.method != "POST" or asked.query:
        raise RequestRefusedError("unknown_operation")
    if f"{prefix}.{operation}".lower() in TARGETS:
        raise RequestRefusedError("unauthenticated_operation")
    if not reads(operation):
        raise RequestRefusedError("writing_operation")
    if operation in CONTENTS.get(label, ()):
        raise RequestRefusedError("contents_operation")


def _check_action(asked: _Asked) -> None:
    """The query protocol.  An operation in the query must read; one in the form is not seen."""
    parameters = parse_qsl(asked.query.replace(";", "&"), keep_blank_values=True)
    actions = [value for name, value in parameters if name.strip().lower() == "action"]
    if any(action.lower() in ACTIONS for action in actions):
        raise RequestRefusedError("unauthenticated_operation")
    if not all(map(reads, actions)):
        raise RequestRefusedError("writing_operation")
    got = asked.method == "GET" and len(actions) == 1
    posted = asked.method == "POST" and not asked.query
    if not got and not posted:
        raise RequestRefusedError("unknown_operation")


def _check_route(label: str, asked: _Asked) -> None:
    if asked.method in {"GET", "HEAD"}:
        return
    if asked.method != "POST" or not _read_posts(label).fullmatch(asked.path):
        raise RequestRefusedError("writing_operation")


@lru_cache(maxsize=1)
def _unsigned_paths() -> re.Pattern[str]:
    return _pattern([path.lower() for _, path in ROUTES])


@lru_cache(maxsize=512)
def _read_posts(label: str) -> re.Pattern[str]:
    return _pattern(READ_POSTS.get(label, ()))


def _pattern(templates: list[str] | tuple[str, ...]) -> re.Pattern[str]:
    """What fits one of `templates`; without any, nothing does."""
    return re.compile("|".join(re.escape(each).replace(r"\{\}", "[^/]+") for each in templates) or r"(?!)")
