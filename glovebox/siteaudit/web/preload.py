"""Whether browsers know a name as https-only before they ever visit it.

An audit has no way to the internet but the sites on its list, so Chromium's list comes with
the package `hstspreload`, as of January 2025.  A name added since counts as absent: its score
may lack the five points of `hsts-preloaded`, and never has too many.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import BinaryIO

import hstspreload

_FOLDER = Path(hstspreload.__file__).parent


@cache
def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


def _opened(name: str) -> BinaryIO:
    return io.BytesIO(_read(name))


# For each name the package opens its list anew, by a function of Python's that is deprecated and
# takes longer than all else that judges headers.  The list is 2.6 MB: it is read once.
hstspreload.open_pkg_binary = _opened


def is_preloaded(host: str) -> bool:
    """Whether `host`, in A-labels, is on the list, itself or by a parent that includes subdomains."""
    return bool(hstspreload.in_hsts_preload(host))
