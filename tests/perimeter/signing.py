"""Requests as AWS's SDK signs them, in bytes, so that a test can bend them before they are sent."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from glovebox.tickets.proxy import ProxyTicket
from tests.perimeter.gateway import (
    KEY_ID,
    SECRET,
    Gateway,
    ask,
    aws_claims,
    connect_request,
    head_of,
    status_of,
)

PATIENCE = 10


def signed(
    method: str,
    url: str,
    *,
    region: str = "us-east-1",
    key: str = KEY_ID,
    secret: str = SECRET,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """An HTTP/1.1 request with one Authorization; the service is read off the host."""
    parts = urlsplit(url)
    labels = parts.netloc.split(".")
    service = "s3" if "s3" in labels else "s3" if "s3-control" in labels else labels[0]
    request = AWSRequest(method, url, data=body, headers=dict(headers or {}))
    (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(key, secret), service, region).add_auth(
        request
    )
    prepared = request.prepare()
    given = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in prepared.headers.items()
    }
    lines = [f"{name}: {value}" for name, value in {"Host": parts.netloc, **given}.items()]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body


def exchange(
    gateway: Gateway, host: str, raw: bytes, *, ticket: ProxyTicket | None = None, sni: str = ""
) -> tuple[int, bytes]:
    """CONNECTs to `host`, ends TLS with the gateway and sends `raw`: status and head of the answer.

    Raises AssertionError where the CONNECT itself is refused.
    """
    tunnel = ask(gateway, connect_request(f"{host}:443", ticket or gateway.signer.sign(aws_claims())))
    with tunnel.connection:
        assert tunnel.status == 200, tunnel.head
        context = ssl.create_default_context(cafile=gateway.authority)
        if sni:
            context.check_hostname = False
        with context.wrap_socket(tunnel.connection, server_hostname=sni or host) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(raw)
            head = head_of(connection)
    return status_of(head), head
