"""The S3 endpoint of the lab: buckets under the names that they have in AWS, before the emulator on loopback.

A task in the lab reaches nothing of the host, so the addresses that it is handed carry the bucket's own name,
which the DNS firewall allows and which leads to the endpoint.  What arrives there is let on only if it is
what a task has to do: read its request, its envelope and its snapshot and put its claim by presigned
addresses, upload by a presigned form.  The emulator's other calls, and whatever a stolen or made-up key would
sign, end here: the emulator believes too much.
"""

from __future__ import annotations

import base64
import binascii
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl

from glovebox.envelopes.names import CLAIM_BYTES
from glovebox.local.aws import REGION, LocalAws
from glovebox.local.front import Front, FrontHandler, serving
from glovebox.scans.model import MAX_OCSF_REPORT_BYTES

FORM_BYTES = 64 << 10
"""What a form has beside its file."""
_READ = re.compile(r"/handoff/[0-9A-Za-z-]+/[0-9]+/(?:request|envelope)\.json")
_SNAPSHOT = re.compile(r"/snapshots/[0-9A-Za-z-]+/[0-9a-f]{16}/[0-9a-f]{40,64}\.[0-9a-f]{8}\.tar\.gz")
_CLAIM = re.compile(r"/claims/[0-9A-Za-z-]+/[0-9]+/claim\.json")
_SIGNED = re.compile(r"X-Amz-(?:Algorithm|Credential|Date|Expires|SignedHeaders|Security-Token|Signature)")
_SCOPE = re.compile(r"[A-Z0-9]+/[0-9]{8}/[a-z0-9-]+/s3/aws4_request")
_KEPT = ("Content-Type", "Content-Length", "If-None-Match")


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets that tasks use, and the emulator's address of them."""

    endpoint: str
    handoff: str
    results: str
    claims: str
    snapshots: str

    @property
    def hosts(self) -> dict[str, str]:
        """Name in AWS → bucket."""
        buckets = (self.handoff, self.results, self.claims, self.snapshots)
        return {f"{bucket}.s3.{REGION}.amazonaws.com": bucket for bucket in buckets}

    def translated(self, value: str) -> str:
        """A variable of a task's environment with the buckets' own names; base64 is looked into."""
        try:
            inside = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return self._named(value)
        changed = self._named(inside)
        return value if changed == inside else base64.b64encode(changed.encode()).decode()

    def _named(self, text: str) -> str:
        for host, bucket in self.hosts.items():
            text = re.sub(rf"{re.escape(f'{self.endpoint}/{bucket}')}(?![\w.-])", f"https://{host}", text)
        return text


class _Endpoint(Front):
    buckets: Buckets


class _Handler(FrontHandler):
    @property
    def buckets(self) -> Buckets:
        return cast("_Endpoint", self.server).buckets

    def do_GET(self) -> None:  # noqa: N802  of the base class
        self.note(self._answer(b"", self._readable()))

    def do_HEAD(self) -> None:  # noqa: N802  of the base class
        self.note(self._answer(b"", None))

    do_PATCH = do_DELETE = do_OPTIONS = do_HEAD  # noqa: N815  names of the base class

    def do_POST(self) -> None:  # noqa: N802  of the base class
        self._take(self._uploadable(), MAX_OCSF_REPORT_BYTES + FORM_BYTES)

    def do_PUT(self) -> None:  # noqa: N802  of the base class
        self._take(self._signed(_CLAIM, self.buckets.claims), CLAIM_BYTES)

    def _take(self, bucket: str | None, most: int) -> None:
        length = self.headers.get("Content-Length", "")
        body = b""
        if not length.isascii() or not length.isdecimal() or int(length) > most:
            bucket = None
            self.close_connection = True
        else:
            body = self.rfile.read(int(length))
        self.note(self._answer(body, bucket))

    def _readable(self) -> str | None:
        buckets = self.buckets
        return self._signed(_READ, buckets.handoff) or self._signed(_SNAPSHOT, buckets.snapshots)

    def _signed(self, wanted: re.Pattern[str], bucket: str) -> str | None:
        """The bucket, where such an object of it is asked for with a signature in the address."""
        path, _, query = self.path.partition("?")
        found = wanted.fullmatch(path) and signed_for_buckets(query)
        return bucket if found and self._bucket() == bucket else None

    def _uploadable(self) -> str | None:
        """The bucket, where this is a form for the results."""
        form = self.path == "/" and self.headers.get("Content-Type", "").startswith("multipart/form-data;")
        bucket = self._bucket()
        return bucket if form and bucket == self.buckets.results else None

    def _bucket(self) -> str | None:
        return self.buckets.hosts.get(self.host)

    def _answer(self, body: bytes, bucket: str | None) -> int:
        """Hand it on under the emulator's own address, which is what was signed; the status."""
        if bucket is None:
            return self.refuse(403, "Not what a task has to do")
        # No header but these: a signature of somebody's own stays here.
        headers = {name: value for name in _KEPT if (value := self.headers.get(name))}
        answer = self.asked(f"/{bucket}{self.path}", body, headers)
        if answer is None:
            return self.no_answer()
        response, content = answer
        self.send_response_only(response.status, response.reason)
        self.send_header("Content-Type", response.getheader("Content-Type", "application/xml"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return response.status


def signed_for_buckets(query: str) -> bool:
    """Whether a signature of S3's stands in `query`, and nothing else.

    The emulator finds the service in the credential and the operation in the query, and does not check
    other services' signatures: anything more would be a call of theirs, as its root.
    """
    fields = parse_qsl(query, keep_blank_values=True)
    values = dict(fields)
    return (
        len(values) == len(fields)
        and all(map(_SIGNED.fullmatch, values))
        and "X-Amz-Signature" in values
        and _SCOPE.fullmatch(values.get("X-Amz-Credential", "")) is not None
    )


@contextmanager
def serving_buckets(
    listener: socket.socket, certificate: Path, aws: LocalAws, buckets: Buckets, journal: Path
) -> Iterator[None]:
    """Serve the lab's endpoint on `listener`, which lies in the lab, before the emulator, which does not.

    `certificate` is a PEM of certificate and key; each request is a line in `journal`.
    """
    server = _Endpoint(listener, _Handler, certificate=certificate, aws=aws, journal=journal)
    server.buckets = buckets
    with serving(server, "s3-endpoint"):
        yield
