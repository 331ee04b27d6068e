"""Addresses on the web, read as browsers read them (WHATWG URL standard)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import ada_url

from glovebox.errors import GloveboxError

MAX_URL = 2_048
"""What the record holds; browsers take more, and no site that means well needs it."""
Scheme = Literal["http", "https"]
_NORMALISED = re.compile(
    r"(?P<scheme>https?)://(?:[^/@]*@)?(?P<host>\[[^\]]*\]|[^/:]*)(?::(?P<port>[0-9]+))?(?P<target>/[^#]*)"
)
"""What the standard's serializer writes: lower case, escaped, the path never empty."""


class BadUrlError(GloveboxError):
    """The text is no http or https address."""


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https address without its fragment and without credentials."""

    scheme: Scheme
    host: str
    """Lower case, A-labels; IPv6 in brackets."""
    port: int | None
    """`None` for the scheme's own."""
    target: str
    """Path and query, as in the request line."""

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str, base: Url | None = None) -> Url:
    """The address that `text` means to a visitor of `base`.

    Raises BadUrlError for what is no address, is longer than `MAX_URL`, or has another scheme.
    """
    if len(text) > MAX_URL:
        raise BadUrlError(f"longer than {MAX_URL} characters")
    try:
        href = ada_url.join_url(str(base), text) if base else ada_url.normalize_url(text)
    except (ValueError, UnicodeEncodeError) as error:
        raise BadUrlError("not a valid address") from error
    match = _NORMALISED.match(href)
    if match is None:
        raise BadUrlError(f"its scheme is {href.partition(':')[0][:32]}, not http or https")
    if len(href) > MAX_URL:
        raise BadUrlError(f"longer than {MAX_URL} characters once encoded")
    host = match["host"]
    return Url(
        scheme="https" if match["scheme"] == "https" else "http",
        host=host.rstrip(".") or host,
        port=int(match["port"]) if match["port"] else None,
        target=match["target"],
    )


def site_url(scheme: Scheme, fqdn: str) -> Url:
    """The front page of a site."""
    return Url(scheme, fqdn, None, "/")
