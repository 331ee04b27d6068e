"""Posting a file by a presigned form, in pieces: a report of 100 MB is in memory once and not thrice."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import IO

import requests

from glovebox.errors import UpstreamError
from glovebox.scans.airlock import authorities
from glovebox.scans.model import UploadForm

WAITS = (1.0, 3.0, 10.0)
TIMEOUT = (10.0, 120.0)
_PASSING = {429, 500, 502, 503, 504}
_PIECE = 1 << 20


def post(
    form: UploadForm, name: str, file: IO[bytes], size: int, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Upload one file of `size` bytes.  Form and URL are secrets: no error quotes them.

    Raises UpstreamError where S3 does not take it.
    """
    said = ""
    body = _Multipart(form, name, file, size)
    with requests.Session() as session:
        session.trust_env = False
        session.verify = authorities()
        for wait in (0.0, *WAITS):
            sleep(wait)
            try:
                answer = session.post(
                    form.url,
                    data=body,
                    headers={"Content-Type": body.content_type},
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                said = f"no whole answer ({type(error).__name__})"
                continue
            if answer.ok and not answer.is_redirect:
                return
            said = f"the bucket answered {answer.status_code}"
            if answer.status_code not in _PASSING:
                break
    raise UpstreamError(f"{name} was not taken: {said}.")


class _Multipart:
    """The form as S3 wants it (RFC 7578): every field as signed, then the file; read anew by each try."""

    def __init__(self, form: UploadForm, name: str, file: IO[bytes], size: int) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        start = f"--{boundary}\r\nContent-Disposition: form-data; name="
        fields = "".join(f'{start}"{field}"\r\n\r\n{value}\r\n' for field, value in form.fields.items())
        type_ = form.fields.get("Content-Type", "application/octet-stream")
        head = f'{fields}{start}"file"; filename="{name}"\r\nContent-Type: {type_}\r\n\r\n'
        self._head, self._tail = head.encode(), f"\r\n--{boundary}--\r\n".encode()
        self._file, self._size = file, size

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece
        yield self._tail
