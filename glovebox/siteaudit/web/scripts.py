"""Subresource integrity, as MDN's HTTP Observatory judges it: where scripts come from, and whether pinned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

import ada_url

from glovebox.siteaudit.web.cookies import icann_suffixes
from glovebox.siteaudit.web.page import Page, Script

_ABSOLUTE = re.compile(r"https?://")
_NO_SCHEME = re.compile(r"//[^/]")
_WORST_LAST = (
    "sri-implemented-but-external-scripts-not-loaded-securely",
    "sri-not-implemented-but-external-scripts-loaded-securely",
    "sri-not-implemented-and-external-scripts-not-loaded-securely",
)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a script comes from."""

    foreign: bool
    secure: bool


def judge_scripts(page: Page, hostname: str, *, secure: bool) -> str:
    """The result for the scripts of `page`, which was reached over https if `secure`."""
    if not page.scripts:
        return "sri-not-implemented-but-no-scripts-loaded"
    bonus = foreign = False
    faults: set[str] = set()
    for script, address in _with_addresses(page):
        source = _source_of(address, hostname, secure=secure)
        foreign = foreign or source.foreign
        if not source.foreign:
            # A pinned script of one's own earns the bonus, unless a fault came before it.
            bonus = bonus or bool(script.integrity and source.secure and not faults)
        elif not script.integrity:
            loaded = "but-external-scripts" if source.secure else "and-external-scripts-not"
            faults.add(f"sri-not-implemented-{loaded}-loaded-securely")
        elif not source.secure:
            faults.add("sri-implemented-but-external-scripts-not-loaded-securely")
    if faults:
        return max(faults, key=_WORST_LAST.index)
    if bonus:
        return "sri-implemented-and-all-scripts-loaded-securely"
    if foreign:
        return "sri-implemented-and-external-scripts-loaded-securely"
    return "sri-not-implemented-but-all-scripts-loaded-from-secure-origin"


def _with_addresses(page: Page) -> list[tuple[Script, str]]:
    """The scripts that have an address, resolved against `base` alone: the Observatory drops the page's."""
    base = _parsed(page.base or "", None)
    usable = base if base is not None and base.protocol not in ("data:", "javascript:") else None
    found: list[tuple[Script, str]] = []
    for script in page.scripts:
        if script.src is None:
            continue
        parsed = _parsed(script.src, usable)
        address = script.src if parsed is None else parsed.href
        if address:
            found.append((script, address))
    return found


def _source_of(address: str, hostname: str, *, secure: bool) -> _Source:
    if _NO_SCHEME.match(address):
        return _Source(foreign=True, secure=False)
    if not _ABSOLUTE.match(address):
        return _Source(foreign=False, secure=secure)
    parsed = _parsed(address, None)
    if parsed is None:
        return _Source(foreign=True, secure=False)
    same = _registrable(parsed.hostname) == _registrable(hostname)
    return _Source(foreign=not same, secure=parsed.protocol == "https:")


def _registrable(host: str) -> str | None:
    """The registrable domain by the registries' suffixes; `None` for an address or a suffix itself."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return icann_suffixes().privatesuffix(host)
    return None


def _parsed(text: str, base: ada_url.URL | None) -> ada_url.URL | None:
    try:
        return ada_url.URL(text, base.href) if base is not None else ada_url.URL(text)
    except (ValueError, UnicodeEncodeError):
        return None
