"""Package URLs that may be shown: what is in them is written by whoever wrote a lock file."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from glovebox.scans.redaction import redact

MAX_PURL: Final = 1_024
_NAME: Final = re.compile(r"pkg:[a-z][a-z0-9.+-]*/[A-Za-z0-9._~%!$&'()*+,;=:/-]+")
_VERSION: Final = re.compile(r"(?:[0-9]{1,9}:)?[A-Za-z0-9._~+!-]+")
"""Unescaped, behind an epoch.  One with more in it is where a package comes from: an address, a branch."""
_HARMLESS: Final = frozenset({"arch", "classifier", "distro", "epoch", "platform", "type"})
"""Qualifiers of the package-url types that tell packages apart; the others are addresses and digests."""
_VALUE: Final = re.compile(r"[A-Za-z0-9._+-]+")


def safe_purl(text: str) -> str:
    """`text` as a package URL without addresses, which may hold passwords; empty where it is none.

    A version that is an address is cut off; of the qualifiers those stay that name an architecture, a
    distribution, an epoch, a platform or a kind of file.
    """
    if len(text) > MAX_PURL:
        return ""
    base, _, qualifiers = text.partition("#")[0].partition("?")
    name, at, version = base.partition("@")
    # A password in a name would be shown escaped, as nobody recognises it.
    said = unquote(name.removeprefix("pkg:"))
    if _NAME.fullmatch(name) is None or "://" in said or redact(said) != said:
        return ""
    kept = [each for each in qualifiers.split("&") if _harmless(each)]
    return name + (f"@{version}" if at and _plain(version) else "") + ("?" + "&".join(kept) if kept else "")


def without_version(purl: str) -> str:
    """A package URL's type, namespace and name: what stays when the package is updated."""
    base = purl.partition("?")[0]
    name, at, _ = base.rpartition("@")
    return name if at else base


def _plain(version: str) -> bool:
    said = unquote(version)
    return _VERSION.fullmatch(said) is not None and redact(said) == said


def _harmless(qualifier: str) -> bool:
    name, _, value = qualifier.partition("=")
    return name in _HARMLESS and _VALUE.fullmatch(value) is not None and redact(value) == value
