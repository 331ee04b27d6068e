"""Host names of AWS: what a list of them may hold, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from glovebox.errors import ConfigurationError

LISTS = Path(__file__).resolve().with_name("allow-list")
"""Where the reviewed lists are, in the image as well."""
SUFFIX = ".amazonaws.com"
"""Every name ends so; the authority of the gateway's leaf is constrained to it."""
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){2,8}com")
"""RFC 1123 host names, lower case."""
_REGIONAL_S3 = re.compile(r"s3(?:-control)?\.([a-z0-9-]+)\.amazonaws\.com")


def check_name(host: str) -> None:
    """Raises ConfigurationError for anything but one exact name of AWS's: no pattern, no leading dot."""
    if not host.endswith(SUFFIX) or len(host) > 253 or not _NAME.fullmatch(host):
        raise ConfigurationError(
            f"{host!r} is no name for an allow-list.", fix=f"A host name that ends in {SUFFIX}."
        )


def hosts_of(path: Path) -> list[str]:
    """The names in a list.  Raises ConfigurationError for one that is missing or empty or holds others."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"The list {path} cannot be read: {exc}.") from exc
    hosts = [line for line in lines if line and not line.startswith("#")]
    for host in hosts:
        check_name(host)
    if not hosts:
        raise ConfigurationError(f"{path} allows nothing.", fix="Write it with python -m squid.allow_list.")
    return hosts


def bucket_regions(hosts: Iterable[str]) -> tuple[str, ...]:
    """The regions whose S3 is on the list, sorted: there, hosts may be named for a bucket or an account."""
    return tuple(sorted({found[1] for host in hosts if (found := _REGIONAL_S3.fullmatch(host))}))
